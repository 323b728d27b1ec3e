"""The program: follows the registry and answers gateways."""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import sys
import time
from collections.abc import Sequence
from http import HTTPStatus
from pathlib import Path

from pytest_enterprise.discovery import xds
from pytest_enterprise.discovery.follower import Follower
from pytest_enterprise.discovery.state import State
from pytest_enterprise.http_server import Request, Response, Server

_PATIENCE = 5.0
"""Seconds that a gateway's question for news is held; less than the gateway's own limit."""
_PREFIX = "/v3/discovery:"
_TEXT = "text/plain; version=0.0.4; charset=utf-8"


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not host or not port.isdigit() or not 0 < int(port) < 65536:
        raise argparse.ArgumentTypeError(f"{text!r} is not HOST:PORT")
    return host, int(port)


def _addresses(text: str) -> list[tuple[str, int]]:
    return [_address(part) for part in text.split(",")]


class Discovery:
    """Answers ``/v3/discovery:*``, ``/ready`` and ``/metrics``."""

    def __init__(self, registry: Sequence[tuple[str, int]], links: Path | None) -> None:
        self.state = State(links)
        self.follower = Follower(registry, self.state.take)

    async def handle(self, request: Request) -> Response:
        kind = request.path.removeprefix(_PREFIX)
        if kind in xds.TYPES and request.method == "POST":
            try:
                question = json.loads(request.body)
            except ValueError as error:
                return Response(400, f"the body is not JSON: {error}\n".encode(), "text/plain")
            if not isinstance(question, dict):
                return Response(400, b"the body is not a DiscoveryRequest\n", "text/plain")
            answer = await self.state.answer(kind, question, patience=_PATIENCE)
            return Response(body=json.dumps(answer).encode())
        if request.path == "/ready":
            status = HTTPStatus.OK if self.state.known else HTTPStatus.SERVICE_UNAVAILABLE
            return Response(status, b"ready\n" if self.state.known else b"the registry was not read yet\n", _TEXT)
        if request.path == "/metrics":
            return Response(body=self._metrics().encode(), type=_TEXT)
        return Response(404, b"known: POST /v3/discovery:{clusters,endpoints,routes}, /ready, /metrics\n", _TEXT)

    def _metrics(self) -> str:
        read_at = self.follower.read_at
        age = "NaN" if read_at is None else f"{time.monotonic() - read_at:.3f}"
        return (
            "# HELP discovery_registry_age_seconds Time since the registry was read last.\n"
            "# TYPE discovery_registry_age_seconds gauge\n"
            f"discovery_registry_age_seconds {age}\n"
            "# HELP discovery_registry_failures_total Members of the registry given up.\n"
            "# TYPE discovery_registry_failures_total counter\n"
            f"discovery_registry_failures_total {self.follower.failures}\n"
            "# HELP discovery_changes_total Changes of registrations, switches or links.\n"
            "# TYPE discovery_changes_total counter\n"
            f"discovery_changes_total {self.state.changes}\n"
        )


async def _serve(chosen: argparse.Namespace) -> None:
    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    discovery = Discovery(chosen.registry, chosen.links)
    server = Server(discovery.handle)
    await server.listen(*chosen.listen)
    tasks = [asyncio.create_task(discovery.follower.run()), asyncio.create_task(discovery.state.follow_links())]
    try:
        await stopped.wait()
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program and return its exit status."""
    parser = argparse.ArgumentParser(prog="python -m pytest_enterprise.discovery", description=__doc__)
    parser.add_argument("--listen", type=_address, required=True, metavar="HOST:PORT", help="for gateways")
    parser.add_argument(
        "--registry", type=_addresses, required=True, metavar="HOST:PORT,...", help="the members of etcd, client side"
    )
    parser.add_argument("--links", type=Path, metavar="FILE", help="JSON: gateway to instance to the address to dial")
    try:
        asyncio.run(_serve(parser.parse_args(arguments)))
    except OSError as error:
        print(f"cannot listen: {error}", file=sys.stderr)  # noqa: T201
        return 1
    return 0
