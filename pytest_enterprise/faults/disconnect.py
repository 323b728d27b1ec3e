"""A server that is taken off its network."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from pytest_enterprise.errors import ConfigurationError, EngineFailed
from pytest_enterprise.faults.base import Evidence, Proof
from pytest_enterprise.faults.engine import ENDING, EngineFault
from pytest_enterprise.faults.link import add_up, remove

if TYPE_CHECKING:
    from pytest_enterprise.faults.targets import Chooser
    from pytest_enterprise.live import LiveStack


class _Off(NamedTuple):
    """What it takes to put them back."""

    endpoints: dict[str, Mapping[str, object]]
    """Of those that have a network, and were taken off it."""
    toxics: list[tuple[str, str]]
    """On the links of the others."""


@dataclass(frozen=True, kw_only=True)
class Disconnect(EngineFault):
    """Takes each instance off its network: nothing that it sends arrives, and nothing arrives that is sent to it.

    A container loses its network itself, links or not. A process of this machine has none of its own: every byte on its
    links is swallowed instead.
    """

    kind: ClassVar[str] = "disconnect"
    proof: ClassVar[Proof] = "acted"
    by_links: ClassVar[bool] = True
    excludes: ClassVar[frozenset[str]] = ENDING | {"disconnect"}

    def begin(self, choose: Chooser, targets: list[str]) -> _Off:
        stack = choose.stack
        off = _Off({}, [])
        try:
            for name in targets:
                endpoint = stack.portal.call(stack.running.instance(name).disconnect())
                if endpoint is not None:
                    off.endpoints[name] = endpoint
                else:
                    self._silence(stack, name, off.toxics)
        except BaseException:
            _undo(stack, off)
            raise
        return off

    def _silence(self, stack: LiveStack, name: str, toxics: list[tuple[str, str]]) -> None:
        links = [link.name for link in stack.running.links.values() if name in (link.client, link.server)]
        if not links:
            raise ConfigurationError(
                f"disconnect: {name} has no link that could be silent; declare its links, or run it in a container"
            )
        for link in links:
            for stream in ("upstream", "downstream"):
                toxic = f"{self.kind}-{stream}-{id(toxics):x}"
                stack.proxy.add_toxic(link, "blackhole", stream=stream, attributes={}, name=toxic)
                toxics.append((link, toxic))

    def end(self, stack: LiveStack, targets: list[str], state: _Off) -> Evidence:  # noqa: ARG002
        began = time.monotonic()
        _undo(stack, state)
        counters = stack.proxy.counters() if state.toxics else {}
        facts = add_up(counters.get(link, {}).get("toxics", {}).get(name, {}) for link, name in state.toxics)
        if state.endpoints:
            facts["containers_off_their_network"] = len(state.endpoints)
            facts["reconnected_after_s"] = round(time.monotonic() - began, 3)
        return Evidence(bool(state.endpoints) or facts.get("dropped_bytes", 0) > 0, facts)


def _undo(stack: LiveStack, off: _Off) -> None:
    """Put all of them back, the others too when one cannot be."""
    failures = []
    for name, endpoint in off.endpoints.items():
        try:
            stack.portal.call(stack.running.instance(name).reconnect(endpoint))
        except EngineFailed as error:
            failures.append(error)
    remove(stack, off.toxics)
    if failures:
        raise failures[0]
