"""Partitions of a whole cluster by shape, as they are known from tests of databases."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal, get_args

from pytest_enterprise.errors import ConfigurationError, nearest
from pytest_enterprise.faults.partition import Silence

if TYPE_CHECKING:
    from pytest_enterprise.faults.targets import Chooser

Shape = Literal["isolate", "halves", "bridge", "ring"]


@dataclass(frozen=True, kw_only=True)
class Topology(Silence):
    """Parts the instances that ``target`` means from each other.

    ``isolate``
        the first that is drawn hears nobody, and nobody hears it.
    ``halves``
        a minority and a majority.
    ``bridge``
        the same, but one instance still hears and is heard by all.
    ``ring``
        each hears a majority, and no two hear the same one. Among three that means one way only.
    """

    kind: ClassVar[str] = "topology"

    shape: Shape

    def __post_init__(self) -> None:
        if self.shape not in get_args(Shape):
            raise ConfigurationError(
                f"topology: shape={self.shape!r} does not exist. {nearest(str(self.shape), get_args(Shape))}"
            )

    def unheard(self, choose: Chooser) -> set[tuple[str, str]]:
        names = choose.instances(self.target)
        least = 2 if self.shape == "isolate" else 3
        if len(names) < least:
            raise ConfigurationError(
                f"topology: {self.shape} needs at least {least} instances, and {self.target} means {len(names)}"
            )
        order = choose.shuffled(names)
        everybody = {(a, b) for a in order for b in order if a != b}
        if self.shape == "ring":
            majority = len(order) // 2 + 1
            heard = {
                (order[(i + step) % len(order)], name) for i, name in enumerate(order) for step in range(1, majority)
            }
            return everybody - heard
        first = {order[0]} if self.shape == "isolate" else set(order[: (len(order) - (self.shape == "bridge")) // 2])
        bridge = {order[-1]} if self.shape == "bridge" else set()
        return {(a, b) for a, b in everybody if (a in first) != (b in first) and not {a, b} & bridge}
