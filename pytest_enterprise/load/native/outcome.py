"""Whether an answer is what was expected: the kind of failure, empty for success."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from typing import Any

from pytest_enterprise.load.native.request import Expect
from pytest_enterprise.load.records import WRONG

BodyCheck = Callable[[bytes], str]


def of_status(expect: Expect, status: int) -> str:
    """``HTTP 503`` when the status is not the right one."""
    assert not isinstance(expect.status, int)
    right = status in expect.status if expect.status else status < 400
    return "" if right else f"HTTP {status}"


def of_body(expect: Expect) -> BodyCheck | None:
    """The check of the body; None when nothing is expected of it, so that it need not be kept."""
    if not expect.contains and not expect.json and not expect.sha256:
        return None
    wanted = expect.contains.encode()
    lacks = f"{WRONG}answer lacks {expect.contains!r}"
    values = [(path, path.split("."), value) for path, value in expect.json.items()]

    digest = expect.sha256.lower()

    def check(body: bytes) -> str:
        if digest and (found := hashlib.sha256(body).hexdigest()) != digest:
            return f"{WRONG}answer's SHA-256 is {found[:12]}…, not {digest[:12]}…"
        if wanted not in body:
            return lacks
        if not values:
            return ""
        try:
            document = json.loads(body)
        except ValueError:
            return f"{WRONG}answer is no JSON"
        for path, steps, value in values:
            if _at(document, steps) != value:
                return f"{WRONG}answer's {path} is not {value!r}"
        return ""

    return check


def _at(document: Any, steps: list[str]) -> Any:
    for step in steps:
        try:
            document = document[int(step)] if isinstance(document, list) else document[step]
        except (KeyError, IndexError, TypeError, ValueError):
            return _NOTHING
    return document


_NOTHING = object()
