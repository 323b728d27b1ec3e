"""The synchronous face of a running stack: what the ``stack`` fixture gives."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from types import TracebackType
from typing import TYPE_CHECKING

from pytest_enterprise.engines.base import Address
from pytest_enterprise.portal import Portal
from pytest_enterprise.running import PROXY, RunningStack

if TYPE_CHECKING:
    from pytest_enterprise.proxy_control import ProxyControl
    from pytest_enterprise.run import Run
    from pytest_enterprise.stack import Stack


class LiveStack:
    """Starts, reaches and ends the engines of a stack; offers both ``with`` and ``async with``."""

    def __init__(self, run: Run, spec: Stack) -> None:
        self.run = run
        self.spec = spec
        self.portal = Portal()
        self.running = RunningStack(run, spec)

    def ensure(self, *names: str) -> LiveStack:
        """Start the named engines (none named: all) and what they need; returns when they are ready."""
        self.portal.call(self.running.ensure(names or None))
        return self

    def address(self, name: str, port: str = "") -> Address:
        """Where tests reach an engine: through its link from ``load`` if there is one and no port is named."""
        return self.running.address(name, port)

    def url(self, name: str, path: str = "", *, port: str = "") -> str:
        """The same as an HTTP URL."""
        return f"http://{self.address(name, port)}{path}"

    def instances(self, name: str) -> list[str]:
        """The names of an engine's instances."""
        return self.running.resolve_instances(name)

    def log(self, instance: str, lines: int = 20) -> list[str]:
        """The last lines that an instance wrote."""
        return list(self.running.instance(instance).log(lines))

    def cpu_seconds(self, *names: str) -> dict[str, float]:
        """CPU seconds so far of each instance of the engines named (none named: of all)."""
        wanted = {instance for name in names for instance in self.running.resolve_instances(name)}
        told = self.portal.call(self.running.cpu_seconds())
        return {name: seconds for name, seconds in told.items() if name in wanted or not names}

    def add(self, engine: str) -> str:
        """Start one more instance of an engine; returns its name when it is ready."""
        return self.portal.call(self.running.add(engine))

    def kill(self, instance: str) -> None:
        """End an instance at once, for good; the fault ``kill`` brings it back."""
        self.portal.call(self.running.instance(instance).kill())

    def remove(self, instance: str) -> None:
        """Stop an instance that :meth:`add` started."""
        self.portal.call(self.running.remove(instance))

    @cached_property
    def proxy(self) -> ProxyControl:
        """The control interface of the stack's fault proxy."""
        from pytest_enterprise.proxy_control import ProxyControl
        from pytest_enterprise.toxiproxy_control import ToxiproxyControl

        kind = ToxiproxyControl if self.running.foreign_proxy else ProxyControl
        return kind(self.running.address(PROXY, "control"))

    def close(self) -> None:
        """End every engine; safe to call more than once."""
        try:
            self.portal.call(self.running.close())
        finally:
            self.portal.close()

    def __enter__(self) -> LiveStack:
        try:
            return self.ensure()
        except BaseException:
            self.close()
            raise

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    async def __aenter__(self) -> LiveStack:
        try:
            await self.portal.acall(self.running.ensure())
        except BaseException:
            await self.__aexit__(None, None, None)
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        await self.portal.acall(self.running.close())
        self.portal.close()


def names_of(kinds: Iterable[str], stack: Stack) -> list[str]:
    """The engines of a stack that are of these kinds."""
    wanted = set(kinds)
    return [engine.name for engine in stack.engines if engine.kind in wanted]
