"""Partitions: who no longer hears whom."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from pytest_enterprise.errors import ConfigurationError
from pytest_enterprise.faults.base import Evidence, Proof
from pytest_enterprise.faults.link import LinkFault, add_up, remove

if TYPE_CHECKING:
    from pytest_enterprise.faults.targets import Chooser
    from pytest_enterprise.live import LiveStack

Toxics = list[tuple[str, str]]


@dataclass(frozen=True, kw_only=True)
class Silence(LinkFault):
    """Swallows every byte that one instance would hear from another, on whichever links it travels."""

    proof: ClassVar[Proof] = "acted"
    excludes: ClassVar[frozenset[str]] = frozenset(
        {"latency", "bandwidth", "cut", "blackhole", "reset", "partition", "topology"}
    )

    @abstractmethod
    def unheard(self, choose: Chooser) -> set[tuple[str, str]]:
        """Pairs of instances: who speaks, and who does not hear it."""

    def _streams(self, choose: Chooser) -> Iterator[tuple[str, str]]:
        unheard = self.unheard(choose)
        for link in choose.stack.running.links.values():
            if (link.client, link.server) in unheard:
                yield link.name, "upstream"
            if (link.server, link.client) in unheard:
                yield link.name, "downstream"

    def resolve(self, choose: Chooser) -> list[str]:
        found = list(dict.fromkeys(link for link, _ in self._streams(choose)))
        if not found:
            sides = sorted({name for pair in self.unheard(choose) for name in pair})
            raise ConfigurationError(f"{self.kind}: no link joins {', '.join(sides) or 'nobody'} to each other")
        return found

    def begin(self, choose: Chooser, targets: list[str]) -> Toxics:  # noqa: ARG002
        stack = choose.stack
        toxics: Toxics = []
        try:
            for link, stream in self._streams(choose):
                name = f"{self.kind}-{stream}-{id(toxics):x}"
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


@dataclass(frozen=True, kw_only=True)
class Partition(Silence):
    """Swallows every byte between ``target`` and ``others`` on the links that join them, whoever dialled.

    With ``one_way`` only what travels from ``target`` to ``others`` is swallowed: what it sends on the links that it
    dialled, and what it answers on those that the others dialled.
    """

    kind: ClassVar[str] = "partition"

    others: Sequence[str]
    one_way: bool = False

    def unheard(self, choose: Chooser) -> set[tuple[str, str]]:
        here = set(choose.instances(self.target))
        there = {instance for name in self.others for instance in choose.instances(name)}
        if here & there and not choose.checking:
            raise ConfigurationError(
                f"partition: {', '.join(sorted(here & there))} is on both sides; name each instance once"
            )
        pairs = {(a, b) for a in here for b in there if a != b}
        return pairs if self.one_way else pairs | {(b, a) for a, b in pairs}
