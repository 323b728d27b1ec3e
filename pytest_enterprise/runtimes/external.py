"""Engines that run already, somewhere else: known by URL, never started, stopped or disturbed by us."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar
from urllib.parse import urlsplit

from pytest_enterprise.engines.base import Address, Engine, Launch, Site
from pytest_enterprise.errors import ConfigurationError, FaultFailed
from pytest_enterprise.runtimes.base import Instance, Placement, Runtime

_DEFAULT_PORTS: Mapping[str, int] = {"http": 80, "https": 443}
_LIMIT = 2.0
"""Seconds for a TCP connection."""


def parse_url(engine: str, url: str) -> Address:
    """The address in ``http://host``, ``https://host:port/path``, ``tcp://host:port`` or ``host:port``.

    Raises ConfigurationError for anything else.
    """
    rule = (
        f"{engine}: {url!r} is not where an engine can be reached ({{}}). "
        "Write http://host:port, https://host, tcp://host:port or host:port."
    )
    try:
        parts = urlsplit(url.strip() if "://" in url else f"tcp://{url.strip()}")
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise ConfigurationError(rule.format(str(error).lower())) from None
    if not host or any(c.isspace() for c in host):
        raise ConfigurationError(rule.format("no host"))
    if port is None:
        port = _DEFAULT_PORTS.get(parts.scheme)
    if not port:
        raise ConfigurationError(rule.format("no port"))
    return Address(host, port)


class ExternalInstance(Instance):
    """An engine of somebody else's."""

    def __init__(self, name: str, url: str, address: Address) -> None:
        self.name = name
        self._url = url
        self._address = address

    def _refuse(self, done: str) -> FaultFailed:
        return FaultFailed(
            f"{self.name} is an external engine ({self._url}): it cannot be {done} by us. "
            "Put the fault on a link to it, or let us start it (no url)."
        )

    async def kill(self, signal: str = "SIGKILL") -> None:  # noqa: ARG002
        raise self._refuse("killed")

    async def pause(self) -> None:
        raise self._refuse("paused")

    async def resume(self) -> None:
        """Nothing: it was never paused."""

    async def stop(self, timeout: float | None = None) -> None:
        """Nothing: it goes on without us."""

    async def restart(self) -> None:
        raise self._refuse("restarted")

    async def alive(self) -> bool:
        """True when it accepts a TCP connection."""
        try:
            async with asyncio.timeout(_LIMIT):
                _, writer = await asyncio.open_connection(*self._address)
        except (OSError, TimeoutError):
            return False
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
        return True

    async def paused(self) -> bool:
        return False

    def exit_status(self) -> str | None:
        """What is known about its end: nothing but that it cannot be reached."""
        return f"{self._address} refuses connections or does not answer"

    def log(self, lines: int = 20) -> Sequence[str]:  # noqa: ARG002
        return ()

    @property
    def command_line(self) -> str:
        return f"(external: {self._url})"

    async def pids(self) -> list[int]:
        raise self._refuse("limited")

    async def cpu_seconds(self) -> float:
        return 0.0


class ExternalRuntime(Runtime):
    """Knows addresses; starts nothing."""

    name: ClassVar[str] = "external"

    async def open(self) -> None:
        """Nothing to start."""

    def place(self, engine: Engine, instance: str) -> Placement:
        """The address of the engine's URL for its first port; directories only so that engines may write files."""
        if not engine.url:
            raise ConfigurationError(
                f"{engine.name} has no url, and the external runtime starts nothing. Give it url=..., "
                f"or --enterprise-url {engine.name}=URL."
            )
        if engine.replicas != 1:
            raise ConfigurationError(
                f"{engine.name}: replicas={engine.replicas}, but a url means one instance. "
                "Declare one engine for each address, or leave replicas away."
            )
        address = parse_url(engine.name, engine.url)
        home: Path = self.run.engines / instance
        config, data = home / "config", home / "data"
        for directory in (config, data):
            directory.mkdir(parents=True, exist_ok=True)
        addresses = dict.fromkeys(engine.ports, address)
        return Placement(
            bind=address.host,
            listen=dict.fromkeys(engine.ports, address.port),
            host=addresses,
            network=addresses,
            config=config,
            data=data,
            config_inside=config,
            data_inside=data,
        )

    async def start(self, engine: Engine, site: Site, launch: Launch) -> Instance:  # noqa: ARG002
        return ExternalInstance(site.name, engine.url or "", next(iter(site.host.values())))

    async def close(self) -> None:
        """Nothing to end."""
