"""The program: options, start, the ready line, an end in good order."""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import resource
import secrets
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pytest_enterprise.http_server import Server
from pytest_enterprise.proxy import metrics, values
from pytest_enterprise.proxy.address import BadAddress, HostPort, resolve
from pytest_enterprise.proxy.api import ToxiproxyApi
from pytest_enterprise.proxy.collection import Collection
from pytest_enterprise.proxy.control import ApiError, Router
from pytest_enterprise.proxy.enterprise import EnterpriseApi
from pytest_enterprise.proxy.relay import Reactor
from pytest_enterprise.proxy.timers import Timers


class StartFailed(Exception):
    """The program cannot start; the message says why."""


def options(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The options of Toxiproxy's own server, with one dash as there, or with two."""
    parser = argparse.ArgumentParser(
        prog="python -m pytest_enterprise.proxy",
        description="A fault proxy with Toxiproxy's HTTP interface.",
        allow_abbrev=False,
    )

    def add(name: str, **settings: Any) -> None:
        parser.add_argument(f"-{name}", f"--{name}", **settings)

    add("host", default="localhost", metavar="H", help="control address to listen on (default: %(default)s)")
    add("port", default=8474, type=int, metavar="P", help="control port, 0 for a free one (default: %(default)s)")
    add("config", metavar="FILE", help='JSON: an array of proxies, or {"proxies": [...], "tunnels": [...]}')
    add("seed", type=int, metavar="N", help="seed of every random choice (default: drawn)")
    add("proxy-metrics", action="store_true", help="serve GET /metrics")
    return parser.parse_args(arguments)


async def configure(path: str, toxiproxy: ToxiproxyApi, enterprise: EnterpriseApi) -> None:
    """Create what the file declares: an array as Toxiproxy's, or our own object with toxics and tunnels.

    Raises StartFailed.
    """
    try:
        document = values.load(await asyncio.to_thread(Path(path).read_bytes))
        if values.is_array(document):
            for proxy in values.items(document):
                await toxiproxy.create_link(proxy)
            return
        parts = values.fields(document, {"proxies": list, "tunnels": list})
        for proxy in values.items(parts.get("proxies")):
            await enterprise.create_link(proxy)
        for tunnel in values.items(parts.get("tunnels")):
            await enterprise.open_tunnel(tunnel)
    except (OSError, values.BadValue, ApiError) as error:
        raise StartFailed(f"-config {path}: {error}") from None


async def serve(chosen: argparse.Namespace) -> None:
    """Run until SIGTERM or SIGINT. Raises StartFailed."""
    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    timers = Timers(loop)
    seed = secrets.randbits(32) if chosen.seed is None else chosen.seed
    collection = Collection(Reactor(loop, timers, seed))
    router = Router(collection)
    enterprise = EnterpriseApi(router)
    toxiproxy = ToxiproxyApi(router)
    toxiproxy.routes()
    enterprise.routes()
    if chosen.proxy_metrics:
        metrics.routes(router)
    server = Server(router)
    try:
        if chosen.config:
            await configure(chosen.config, toxiproxy, enterprise)
        try:
            _, wanted = await resolve(loop, str(HostPort(chosen.host, chosen.port)))
            address = await server.listen(*wanted)
        except (OSError, BadAddress) as error:
            raise StartFailed(f"cannot listen on {chosen.host}:{chosen.port}: {error}") from None
        # What was loaded stays: the collector need not look at it again and again.
        gc.collect()
        gc.freeze()
        sys.stdout.write(json.dumps({"listening": str(HostPort(*address)), "seed": seed}) + "\n")
        sys.stdout.flush()
        await stopped.wait()
    finally:
        server.close()
        collection.close()
        timers.close()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program and return its exit status."""
    chosen = options(arguments)
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    gc.set_threshold(20_000, 20, 50)
    try:
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            runner.run(serve(chosen))
    except StartFailed as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


def _loop_factory() -> Any:
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop
