"""Questions to a program of ours that listens on an abstract Unix socket: JSON, one a line."""

from __future__ import annotations

import json
import socket
from typing import Any

from pytest_enterprise.errors import FaultFailed

_LIMIT = 20.0
"""Seconds for an answer."""


def ask(address: str, who: str, do: str, **fields: Any) -> dict[str, Any]:
    """What the program at ``address`` answers. Raises FaultFailed, which names ``who``, also when it says ``error``."""
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(_LIMIT)
            connection.connect(f"\0{address}")
            with connection.makefile("rw", encoding="utf-8") as lines:
                lines.write(json.dumps({"do": do, **fields}) + "\n")
                lines.flush()
                answer: dict[str, Any] = json.loads(lines.readline())
    except (OSError, ValueError) as error:
        raise FaultFailed(f"{who} does not answer: {error}") from None
    if "error" in answer:
        raise FaultFailed(f"{who}: {answer['error']}")
    return answer
