"""Follows the registry through any member that answers, and keeps what it last read when none does."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import sys
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import aetcd

SERVICES = "/services/"
SWITCHES = "/config/switches/"

_REREAD = 0.5
"""Seconds between reads that must come from a majority: a watch on a member that was cut off is silent, not wrong."""
_LIMIT = 0.8
"""Seconds until a member counts as silent. An election takes longer, and then the next member is no better."""

Found = Mapping[str, str]


class Follower:
    """Calls ``changed(services, switches)`` with all keys below each prefix whenever one differs from before."""

    def __init__(self, members: Sequence[tuple[str, int]], changed: Callable[[Found, Found], None]) -> None:
        self._members = itertools.cycle(members)
        self._changed = changed
        self._last: tuple[Found, Found] | None = None
        self.read_at: float | None = None
        """CLOCK_MONOTONIC in seconds of the last good read; None before the first."""
        self.failures = 0
        """Members that were given up."""

    async def run(self) -> None:
        """Follow for ever."""
        for host, port in self._members:
            try:
                await self._follow(host, port)
            except Exception as error:  # of aetcd, grpc or the time limit: they all mean the next member
                self.failures += 1
                print(f"registry {host}:{port}: {type(error).__name__}: {error}", file=sys.stderr, flush=True)  # noqa: T201
            await asyncio.sleep(0.02)

    async def _follow(self, host: str, port: int) -> None:
        import aetcd

        client = aetcd.Client(host=host, port=port, options={"grpc.enable_http_proxy": 0})
        woken = asyncio.Event()
        watchers: list[asyncio.Task[None]] = []
        try:
            async with asyncio.timeout(_LIMIT):
                await client.connect()
            while True:
                async with asyncio.timeout(_LIMIT):
                    await self._read(client)
                if not watchers:
                    watchers = [asyncio.create_task(_wake(woken, client, prefix)) for prefix in (SERVICES, SWITCHES)]
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(woken.wait(), _REREAD)
                woken.clear()
        finally:
            for watcher in watchers:
                watcher.cancel()
            if watchers:
                await asyncio.wait(watchers, timeout=_LIMIT)
            with contextlib.suppress(Exception):
                async with asyncio.timeout(_LIMIT):
                    await client.close()

    async def _read(self, client: aetcd.Client) -> None:
        found = tuple([await _prefix(client, prefix) for prefix in (SERVICES, SWITCHES)])
        self.read_at = time.monotonic()
        if found != self._last:
            self._last = services, switches = found[0], found[1]
            self._changed(services, switches)


async def _prefix(client: aetcd.Client, prefix: str) -> Found:
    items = await client.get_prefix(prefix.encode())
    return {item.key.decode().removeprefix(prefix): item.value.decode() for item in items}


async def _wake(woken: asyncio.Event, client: aetcd.Client, prefix: str) -> None:
    """Set ``woken`` at every change below a prefix, and once when the watch begins.

    The stream itself, not aetcd's watcher: that one was seen to wait for ever after its member had gone.
    """
    from aetcd import rpc

    async def requests() -> AsyncIterator[rpc.WatchRequest]:
        key = prefix.encode()
        beyond = key[:-1] + bytes([key[-1] + 1])
        yield rpc.WatchRequest(create_request=rpc.WatchCreateRequest(key=key, range_end=beyond))
        await asyncio.Event().wait()

    async for _ in rpc.WatchStub(client.channel).Watch(requests()):
        woken.set()


def addresses(services: Found) -> dict[str, dict[str, str]]:
    """Service to instance to registered ``host:port``, from keys ``SERVICE/INSTANCE``; what is malformed is skipped."""
    found: dict[str, dict[str, str]] = {}
    for key, value in services.items():
        service, _, instance = key.partition("/")
        with contextlib.suppress(ValueError, KeyError, TypeError):
            host, _, port = str(json.loads(value)["address"]).rpartition(":")
            if host and instance and 0 < int(port) < 65536:
                found.setdefault(service, {})[instance] = f"{host}:{port}"
    return found
