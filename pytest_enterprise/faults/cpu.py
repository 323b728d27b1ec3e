"""A server that gets little CPU time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from pytest_enterprise.faults.base import positive
from pytest_enterprise.faults.limits import LimitFault

if TYPE_CHECKING:
    from pytest_enterprise.runtimes.cgroup import Group


@dataclass(frozen=True, kw_only=True)
class Cpu(LimitFault):
    """Lets each instance have ``share`` of one CPU, from 0.05 on; acted when the kernel held it back."""

    kind: ClassVar[str] = "cpu"
    controller: ClassVar[str] = "cpu"
    counters: ClassVar[tuple[str, ...]] = ("throttled",)

    share: float

    def __post_init__(self) -> None:
        positive(self.kind, "share", self.share, limit=1000, unit="a share of one CPU")

    def apply(self, group: Group) -> None:
        group.set(cpu=max(5, round(self.share * 100)))
