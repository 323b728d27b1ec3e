"""What faults on engines share: targets that are running instances."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from pytest_enterprise.faults.base import Fault

if TYPE_CHECKING:
    from pytest_enterprise.faults.targets import Chooser


ENDING = frozenset({"kill", "restart", "crash_loop", "kill_on_write", "rot", "power_failure"})
"""Kinds that end an instance's processes: what holds for these processes cannot be on meanwhile."""


@dataclass(frozen=True, kw_only=True)
class EngineFault(Fault):
    """A fault on every instance that ``target`` means: ``"agent-service-1"``, or ``"agent-service"`` for all."""

    excludes: ClassVar[frozenset[str]] = ENDING | {"pause"}

    def resolve(self, choose: Chooser) -> list[str]:
        return list(choose.instances(self.target))
