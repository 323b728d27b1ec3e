"""The program: makes a network of its own when it is given a block of addresses, and obeys what comes to its socket.

Requests and answers are JSON, one a line: ``{"do": "where"}``, ``{"do": "begin", "loss": 0.1, "in": null}``,
``{"do": "move", "in": "/proc/4711/ns/net"}``, ``{"do": "end"}``. What it could not do is answered with ``error``.
"""

from __future__ import annotations

import json
import os
import select
import socket
from random import Random
from typing import Any

from pytest_enterprise.packets import mechanism, namespace
from pytest_enterprise.packets.disturbance import Counters, Disturbance
from pytest_enterprise.packets.tools import ToolFailed


class Player:
    """Disturbs the packets of the namespace that it is in, or of one that it is told to enter."""

    def __init__(self, seed: str) -> None:
        self._home = namespace.current()
        self._seed = seed
        self._begun = 0
        self._how = Disturbance()
        self._random = Random()
        self._running: mechanism.Mechanism | None = None
        self._earlier = Counters()

    def do(self, request: dict[str, Any]) -> dict[str, Any]:
        """Answer one request."""
        try:
            match request.pop("do"):
                case "begin":
                    place = request.pop("in")
                    self._begun += 1
                    self._random = Random(f"{self._seed}/{self._begun}")
                    self._how = Disturbance(**request)
                    self._earlier = Counters()
                    self._begin(place)
                case "move" if self._running:
                    self._pause()
                    self._begin(request["in"])
                case "end":
                    by = self._running.name if self._running else ""
                    self._pause()
                    return {"by": by, **self._earlier.as_facts()}
        except (ToolFailed, OSError) as error:
            return {"error": str(error)}
        return {"pid": os.getpid()}

    def _begin(self, place: str | None) -> None:
        if place:
            descriptor = os.open(place, os.O_RDONLY | os.O_CLOEXEC)
            namespace.enter(descriptor)
            os.close(descriptor)
        try:
            self._running = mechanism.begin(self._how, self._random)
        except BaseException:
            namespace.enter(self._home)
            raise

    def _pause(self) -> None:
        running, self._running = self._running, None
        try:
            if running:
                self._earlier.add(running.undo())
        finally:
            namespace.enter(self._home)

    def serve(self, listener: socket.socket) -> None:
        """Answer, and forward what is to be forwarded, for ever."""
        poll = select.epoll()
        poll.register(listener, select.EPOLLIN)
        lines: dict[int, Any] = {}
        while True:
            forwarder = self._running.forwarder if self._running else None
            if forwarder:
                # Not epoll's own time-out, which knows whole milliseconds only.
                wait = forwarder.wait()
                ready, _, _ = select.select([poll.fileno(), forwarder.fileno()], [], [], wait)
                forwarder.send_due()
                if forwarder.fileno() in ready:
                    forwarder.receive()
                if poll.fileno() not in ready:
                    continue
            for descriptor, _ in poll.poll(0 if forwarder else None):
                if descriptor == listener.fileno():
                    connection, _ = listener.accept()
                    lines[connection.fileno()] = connection.makefile("rwb", buffering=0), connection
                    poll.register(connection, select.EPOLLIN)
                else:
                    self._answer(descriptor, lines, poll)

    def _answer(self, descriptor: int, lines: dict[int, Any], poll: select.epoll) -> None:
        file, connection = lines[descriptor]
        try:
            if line := file.readline():
                file.write(json.dumps(self.do(json.loads(line))).encode() + b"\n")
                return
        except OSError:
            pass
        poll.unregister(descriptor)
        file.close()
        connection.close()
        del lines[descriptor]


def attempt() -> int:
    """Do everything once, in a namespace that goes away with this process; 1 and a line when it cannot be done."""
    try:
        namespace.make_alone()
        player = Player("0")
        everything = {"loss": 0.1, "delay": 0.001, "duplicate": 0.1, "reorder": 0.1}
        for request in ({"do": "begin", "in": None, **everything}, {"do": "end"}):
            if error := player.do(request).get("error"):
                raise ToolFailed(error)
    except (ToolFailed, OSError) as error:
        print(error)  # noqa: T201
        return 1
    return 0


def main(arguments: list[str]) -> int:
    """Serve until somebody ends it."""
    if arguments == ["--attempt"]:
        return attempt()
    name, seed, *own = arguments
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(f"\0{name}")  # not a file, and reached from everybody's namespace, where it is made
    if own:
        block, alias = own
        namespace.make(namespace.Block(int(block)), alias)
    listener.listen()
    Player(seed).serve(listener)
    return 0
