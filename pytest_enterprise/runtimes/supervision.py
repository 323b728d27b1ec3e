"""The owner's side of the conversation with the supervisor."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from pytest_enterprise.errors import EngineFailed

_GONE = (
    "the supervisor of this run's processes is gone, and with it every engine; somebody ended it, or it failed "
    "(see supervisor-*.log in the run directory). Start the tests again."
)


class Supervision(asyncio.Protocol):
    """The line to the supervisor: requests out, answers and ends of programs in."""

    def __init__(self) -> None:
        self.exits: dict[int, tuple[int, float]] = {}
        """Process id to wait status and CPU seconds."""
        self.closed = asyncio.Event()
        self._transport: asyncio.Transport | None = None
        self._text = b""
        self._number = 0
        self._answers: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._ends: dict[int, asyncio.Event] = {}

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        *lines, self._text = (self._text + data).split(b"\n")
        for line in lines:
            message = json.loads(line)
            if "exit" in message:
                self.exits[message["pid"]] = (message["status"], message["cpu"])
                self.ended(message["pid"]).set()
            elif (answer := self._answers.pop(message["id"], None)) and not answer.done():
                answer.set_result(message)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        self.closed.set()
        for answer in self._answers.values():
            if not answer.done():
                answer.set_exception(EngineFailed(_GONE))
        self._answers.clear()
        for event in self._ends.values():
            event.set()

    def ended(self, pid: int) -> asyncio.Event:
        """Set once the process is known to have ended."""
        return self._ends.setdefault(pid, asyncio.Event())

    async def ask(self, do: str, **fields: Any) -> dict[str, Any]:
        if self._transport is None or self.closed.is_set():
            raise EngineFailed(_GONE)
        self._number += 1
        answer = self._answers[self._number] = asyncio.get_running_loop().create_future()
        self._transport.write(json.dumps({"id": self._number, "do": do, **fields}).encode() + b"\n")
        reply: dict[str, Any] = await answer
        return reply

    def hang_up(self) -> None:
        if self._transport:
            self._transport.close()
