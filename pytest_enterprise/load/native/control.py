"""Commands in, events out: lines of JSON on stdin and on a descriptor, as for Locust's process."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable
from json import dumps, loads
from time import monotonic_ns
from typing import Any, NoReturn

ABANDONED = 3
"""Exit status when the parent is gone."""


class Control:
    """The parent's line to the engine. It ends when the parent is gone, however it went, and so does the engine.

    A parent-death signal would fire when the thread that began the load ends; a pipe does not.
    """

    def __init__(self, events: int) -> None:
        self._events = events
        self._rest = bytearray()

    def settings(self) -> dict[str, Any]:
        """The first line; waits for it."""
        while b"\n" not in self._rest:
            self._read()
        return self._lines()[0]

    def _read(self) -> None:
        more = os.read(0, 1 << 20)
        if not more:
            os._exit(ABANDONED)
        self._rest += more

    def _lines(self) -> list[dict[str, Any]]:
        lines = self._rest.split(b"\n")
        self._rest = lines.pop()
        return [loads(line) for line in lines]

    def listen(self, loop: asyncio.AbstractEventLoop, obey: Callable[[dict[str, Any]], None]) -> None:
        """From now on, hand each command over as it comes."""

        def readable() -> None:
            self._read()
            for command in self._lines():
                obey(command)

        loop.add_reader(0, readable)

    def emit(self, event: str, **fields: Any) -> int:
        """Tell the parent; returns the moment that the event is stamped with."""
        now = monotonic_ns()
        line = dumps({"event": event, "t": now, **fields}, default=str) + "\n"
        try:
            os.write(self._events, line.encode())
        except BrokenPipeError:
            os._exit(ABANDONED)
        return now

    def fail(self, message: str) -> NoReturn:
        """Tell why there will be no load, and leave."""
        self.emit("error", message=message)
        sys.stderr.flush()
        os._exit(1)
