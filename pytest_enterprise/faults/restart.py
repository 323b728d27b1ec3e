"""A restarted engine: stopped in good order and started again, at the same place."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from pytest_enterprise.faults.base import Evidence, Proof, positive
from pytest_enterprise.faults.engine import EngineFault

if TYPE_CHECKING:
    from pytest_enterprise.faults.targets import Chooser
    from pytest_enterprise.live import LiveStack


@dataclass(frozen=True, kw_only=True)
class Restart(EngineFault):
    """Restarts the instances one after another; the fault lasts until the last one is ready again."""

    kind: ClassVar[str] = "restart"
    proof: ClassVar[Proof] = "acted"

    down_for: float = 0.0
    """Seconds between the stop and the start: a slow start, as users see it."""

    def __post_init__(self) -> None:
        positive(self.kind, "down_for", self.down_for, limit=600, unit="seconds", zero=True)

    def begin(self, choose: Chooser, targets: list[str]) -> dict[str, float]:
        stack = choose.stack
        back = {}
        for name in targets:
            stack.portal.call(stack.running.instance(name).stop())
            time.sleep(self.down_for)
            back[name] = round(stack.portal.call(stack.running.restart(name)), 3)
        return back

    def end(self, stack: LiveStack, targets: list[str], state: dict[str, float]) -> Evidence:  # noqa: ARG002
        return Evidence(True, {"ready_after_s": state})
