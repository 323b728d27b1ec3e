"""A server that gets little memory, down to being killed for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from pytest_enterprise.faults.base import positive
from pytest_enterprise.faults.limits import LimitFault

if TYPE_CHECKING:
    from pytest_enterprise.runtimes.cgroup import Group


@dataclass(frozen=True, kw_only=True)
class Memory(LimitFault):
    """Lets each instance have ``more`` bytes beyond what it holds (at least 1 MiB); then the kernel ends it.

    One that was ended is started again when the fault ends. Acted when the kernel refused memory.
    """

    kind: ClassVar[str] = "memory"
    controller: ClassVar[str] = "memory"
    counters: ClassVar[tuple[str, ...]] = ("refused", "oom_kills")

    more: int = 0

    def __post_init__(self) -> None:
        positive(self.kind, "more", self.more, limit=1 << 50, unit="bytes", zero=True)

    def apply(self, group: Group) -> None:
        group.set(memory=max(1 << 20, group.used() + int(self.more)))
