"""What faults on engines share: targets that are running instances."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from pytest_enterprise.faults.base import Fault

if TYPE_CHECKING:
    from pytest_enterprise.live import LiveStack


@dataclass(frozen=True, kw_only=True)
class EngineFault(Fault):
    """A fault on every instance that ``target`` means: ``"agent-service-1"``, or ``"agent-service"`` for all."""

    excludes: ClassVar[frozenset[str]] = frozenset({"kill", "pause", "restart"})

    def resolve(self, stack: LiveStack) -> list[str]:
        return stack.instances(self.target)
