"""A partition between two groups of instances."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from pytest_enterprise.errors import ConfigurationError
from pytest_enterprise.faults.base import Evidence, Proof
from pytest_enterprise.faults.link import LinkFault, add_up, remove

if TYPE_CHECKING:
    from pytest_enterprise.live import LiveStack

Toxics = list[tuple[str, str]]


@dataclass(frozen=True, kw_only=True)
class Partition(LinkFault):
    """Swallows every byte between ``target`` and ``others`` on the links that join them, whoever dialled.

    With ``one_way`` only what travels from ``target`` to ``others`` is swallowed: what it sends on the links that it
    dialled, and what it answers on those that the others dialled.
    """

    kind: ClassVar[str] = "partition"
    proof: ClassVar[Proof] = "acted"
    excludes: ClassVar[frozenset[str]] = frozenset({"latency", "bandwidth", "cut", "blackhole", "reset", "partition"})

    others: Sequence[str]
    one_way: bool = False

    def _sides(self, stack: LiveStack) -> tuple[set[str], set[str]]:
        here = set(stack.instances(self.target))
        there = {instance for name in self.others for instance in stack.instances(name)}
        if here & there:
            raise ConfigurationError(
                f"partition: {', '.join(sorted(here & there))} is on both sides; name each instance once"
            )
        return here, there

    def resolve(self, stack: LiveStack) -> list[str]:
        here, there = self._sides(stack)
        found = [
            link.name
            for link in stack.running.links.values()
            if (link.client in here and link.server in there) or (link.client in there and link.server in here)
        ]
        if not found:
            raise ConfigurationError(f"partition: no link joins {sorted(here)} and {sorted(there)}")
        return found

    def begin(self, stack: LiveStack, targets: list[str]) -> Toxics:
        here, _ = self._sides(stack)
        toxics: Toxics = []
        try:
            for link in targets:
                dialled = stack.running.links[link].client in here
                outwards = "upstream" if dialled else "downstream"
                for stream in (outwards,) if self.one_way else ("upstream", "downstream"):
                    name = f"partition-{stream}-{id(toxics):x}"
                    stack.proxy.add_toxic(link, "blackhole", stream=stream, attributes={}, name=name)
                    toxics.append((link, name))
        except BaseException:
            remove(stack, toxics)
            raise
        return toxics

    def end(self, stack: LiveStack, targets: list[str], state: Toxics) -> Evidence:  # noqa: ARG002
        remove(stack, state)
        counters = stack.proxy.counters()
        facts = add_up(counters.get(link, {}).get("toxics", {}).get(name, {}) for link, name in state)
        return Evidence(facts.get("dropped_bytes", 0) > 0, facts)
