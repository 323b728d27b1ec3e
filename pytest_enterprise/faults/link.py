"""What faults on links share: targets that are links, toxics put on all of them or on none, counters as proof."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pytest_enterprise.errors import ConfigurationError, FaultFailed, nearest
from pytest_enterprise.faults.base import Evidence, Fault
from pytest_enterprise.proxy.conditions import Conditions

if TYPE_CHECKING:
    from pytest_enterprise.faults.targets import Chooser
    from pytest_enterprise.live import LiveStack

Direction = Literal["both", "upstream", "downstream"]
"""``upstream`` is what the client sends, ``downstream`` what the server answers."""


@dataclass(frozen=True, kw_only=True)
class LinkFault(Fault):
    """A fault on every link that ``target`` means: ``"agent-service -> postgres"``."""

    by_links: ClassVar[bool] = True
    excludes: ClassVar[frozenset[str]] = frozenset({"cut", "blackhole", "partition", "topology"})

    def resolve(self, choose: Chooser) -> list[str]:
        return choose.links(self.target)


@dataclass(frozen=True, kw_only=True)
class ToxicFault(LinkFault):
    """A fault that is one toxic in one or both directions of each link."""

    toxic: ClassVar[str]
    direction: Direction = "both"
    when: Mapping[str, int | float | str] = field(default_factory=dict)
    """Conditions: ``first_connections``, ``every_connection``, ``peer``, ``first_chunks``, ``every_chunk``,
    ``chunk_share``, ``from_byte``, ``to_byte``; see :class:`pytest_enterprise.proxy.conditions.Conditions`."""

    def __post_init__(self) -> None:
        if self.direction not in ("both", "upstream", "downstream"):
            raise ConfigurationError(
                f"{self.kind}: direction={self.direction!r} is not one of both, upstream, downstream"
            )
        if unknown := set(self.when) - set(Conditions.FIELDS):
            raise ConfigurationError(
                f"{self.kind}: when has no condition {min(unknown)!r}. {nearest(min(unknown), Conditions.FIELDS)}"
            )

    def attributes(self) -> dict[str, Any]:
        """The toxic's attributes."""
        return {}

    def streams(self) -> tuple[str, ...]:
        return ("upstream", "downstream") if self.direction == "both" else (self.direction,)

    def begin(self, choose: Chooser, targets: list[str]) -> list[tuple[str, str]]:
        stack = choose.stack
        toxics: list[tuple[str, str]] = []
        try:
            for link in targets:
                for stream in self.streams():
                    name = f"{self.kind}-{stream}-{id(toxics):x}"
                    stack.proxy.add_toxic(
                        link, self.toxic, stream=stream, attributes=self.attributes(), name=name, when=self.when
                    )
                    toxics.append((link, name))
        except BaseException:
            remove(stack, toxics)
            raise
        return toxics

    def end(self, stack: LiveStack, targets: list[str], state: list[tuple[str, str]]) -> Evidence:  # noqa: ARG002
        remove(stack, state)
        counters = stack.proxy.counters()
        facts = add_up(counters.get(link, {}).get("toxics", {}).get(name, {}) for link, name in state)
        return Evidence(self.acted(facts), facts)

    def acted(self, facts: dict[str, float]) -> bool:
        """Whether these counters show that it disturbed anything."""
        return facts.get("bytes", 0) > 0


def remove(stack: LiveStack, toxics: Iterable[tuple[str, str]]) -> None:
    """Take all of these toxics off, the others too when one cannot be."""
    failures = []
    for link, name in toxics:
        try:
            stack.proxy.remove_toxic(link, name)
        except FaultFailed as error:
            failures.append(error)
    if failures:
        raise failures[0]


def add_up(counters: Iterable[dict[str, Any]]) -> dict[str, float]:
    """The sums of counters of the same name."""
    total: dict[str, float] = {}
    for counter in counters:
        for key, value in counter.items():
            with contextlib.suppress(TypeError):
                total[key] = round(total.get(key, 0) + value, 3)
    return total


def totals(stack: LiveStack, links: Iterable[str]) -> dict[str, float]:
    """The sums of the links' own counters, without those of their toxics."""
    counters = stack.proxy.counters()
    return add_up(counters.get(link, {}) for link in links)


def since(before: dict[str, float], after: dict[str, float]) -> dict[str, float]:
    """How far counters moved."""
    return {key: round(value - before.get(key, 0), 3) for key, value in after.items()}
