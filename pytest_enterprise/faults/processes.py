"""A server that can start no further process or thread."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from pytest_enterprise.faults.base import positive
from pytest_enterprise.faults.limits import LimitFault

if TYPE_CHECKING:
    from pytest_enterprise.runtimes.cgroup import Group


@dataclass(frozen=True, kw_only=True)
class Processes(LimitFault):
    """Lets each instance start ``more`` processes and threads; acted when the kernel refused one."""

    kind: ClassVar[str] = "processes"
    controller: ClassVar[str] = "pids"
    counters: ClassVar[tuple[str, ...]] = ("refused",)

    more: int = 0

    def __post_init__(self) -> None:
        positive(self.kind, "more", self.more, limit=1_000_000, unit="processes", zero=True)

    def apply(self, group: Group) -> None:
        group.set(pids=group.used() + int(self.more))
