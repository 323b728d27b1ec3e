"""The program: answers on UDP, and is told of faults by HTTP.

``POST /faults`` with ``{"client": ADDRESS, "name": PATTERN, "answer": ..., "delay": SECONDS}`` gives ``{"id": N}``;
``DELETE /faults/N`` ends it and tells how many questions met it.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import sys
from collections.abc import Sequence
from http import HTTPStatus
from pathlib import Path
from typing import Any, cast

from pytest_enterprise.http_server import Request, Response, Server
from pytest_enterprise.resolver.answers import Answers, Rule

PORT = 53


class Questions(asyncio.DatagramProtocol):
    """One listening address."""

    def __init__(self, answers: Answers, address: str) -> None:
        self._answers = answers
        self._address = address

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str | Any, int]) -> None:
        wire, delay = self._answers.reply(data, {self._address, str(addr[0])})
        if wire is not None:
            asyncio.get_running_loop().call_later(delay, self._transport.sendto, wire, addr)


class Control:
    """Adds and removes rules."""

    def __init__(self, answers: Answers) -> None:
        self._answers = answers

    async def handle(self, request: Request) -> Response:
        if request.method == "POST" and request.path == "/faults":
            try:
                number = self._answers.add(Rule(**json.loads(request.body)))
            except (ValueError, TypeError) as error:
                return Response(400, f"{error}\n".encode(), "text/plain")
            return Response(body=json.dumps({"id": number}).encode())
        if request.method == "DELETE" and request.path.removeprefix("/faults/").isdecimal():
            rule = self._answers.remove(int(request.path.removeprefix("/faults/")))
            return Response(body=json.dumps({"met": rule.met if rule else 0}).encode())
        status = HTTPStatus.OK if request.path == "/" else HTTPStatus.NOT_FOUND
        return Response(status, b"POST /faults, DELETE /faults/N\n", "text/plain")


async def _serve(chosen: argparse.Namespace) -> None:
    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    answers = Answers(chosen.names)
    for address in chosen.listen.split(","):
        await loop.create_datagram_endpoint(
            lambda address=address: Questions(answers, address),  # type: ignore[misc]
            local_addr=(address, PORT),
        )
    server = Server(Control(answers).handle)
    host, _, port = chosen.control.rpartition(":")
    await server.listen(host, int(port))
    try:
        await stopped.wait()
    finally:
        server.close()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program and return its exit status."""
    parser = argparse.ArgumentParser(prog="python -m pytest_enterprise.resolver")
    parser.add_argument("--listen", required=True, metavar="ADDRESS,...", help=f"where to answer, on port {PORT}")
    parser.add_argument("--control", required=True, metavar="HOST:PORT", help="where faults are told")
    parser.add_argument("--names", type=Path, required=True, metavar="FILE", help="JSON: name to IPv4 address")
    try:
        asyncio.run(_serve(parser.parse_args(arguments)))
    except OSError as error:
        print(f"cannot listen: {error}", file=sys.stderr)  # noqa: T201
        return 1
    return 0
