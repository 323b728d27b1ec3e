"""What faults that take a resource away share: a limit for each instance, and the kernel's own count of its effect."""

from __future__ import annotations

import time
from abc import abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from pytest_enterprise.faults.base import Evidence, Proof
from pytest_enterprise.faults.engine import ENDING, EngineFault
from pytest_enterprise.runtimes.cgroup import Group

if TYPE_CHECKING:
    from pytest_enterprise.faults.targets import Chooser
    from pytest_enterprise.live import LiveStack

_DYING = 1.0
"""Seconds that a killed process may take to be gone."""


@dataclass(frozen=True, kw_only=True)
class LimitFault(EngineFault):
    """A control group around each instance, with a limit that it did not have. Needs root."""

    proof: ClassVar[Proof] = "acted"
    excludes: ClassVar[frozenset[str]] = ENDING
    controller: ClassVar[str]
    counters: ClassVar[tuple[str, ...]]
    """What the kernel counts when the limit is met."""

    @abstractmethod
    def apply(self, group: Group) -> None:
        """Set the limit, once the processes are in the group."""

    def begin(self, choose: Chooser, targets: list[str]) -> dict[str, Group]:
        stack = choose.stack
        groups: dict[str, Group] = {}
        try:
            for name in targets:
                groups[name] = group = Group(self.controller)
                group.take(lambda name=name: stack.portal.call(stack.running.instance(name).pids()))  # type: ignore[misc]
                self.apply(group)
        except BaseException:
            for group in groups.values():
                group.close()
            raise
        return groups

    def end(self, stack: LiveStack, targets: list[str], state: dict[str, Group]) -> Evidence:
        facts: dict[str, int] = {}
        for group in state.values():
            for name, count in group.events().items():
                facts[name] = facts.get(name, 0) + count
            group.close()
        back = {}
        ends = time.monotonic() + (_DYING if facts.get("oom_kills") else 0)
        for name in targets:
            # The kernel closes the connections of what it kills before it tells that it is dead.
            while stack.portal.call(stack.running.instance(name).alive()) and time.monotonic() < ends:
                time.sleep(0.01)
            if not stack.portal.call(stack.running.instance(name).alive()):
                back[name] = round(stack.portal.call(stack.running.restart(name)), 3)
        return Evidence(
            any(facts.get(counter) for counter in self.counters), {**facts, "ready_after_s": back} if back else facts
        )
