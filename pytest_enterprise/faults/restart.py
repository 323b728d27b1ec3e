"""A restarted engine: stopped in good order and started again, at the same place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from pytest_enterprise.faults.base import Evidence, Proof
from pytest_enterprise.faults.engine import EngineFault

if TYPE_CHECKING:
    from pytest_enterprise.live import LiveStack


@dataclass(frozen=True, kw_only=True)
class Restart(EngineFault):
    """Restarts the instances one after another; the fault lasts until the last one is ready again."""

    kind: ClassVar[str] = "restart"
    proof: ClassVar[Proof] = "acted"

    def begin(self, stack: LiveStack, targets: list[str]) -> dict[str, float]:
        back = {}
        for name in targets:
            stack.portal.call(stack.running.instance(name).stop())
            back[name] = round(stack.portal.call(stack.running.restart(name)), 3)
        return back

    def end(self, stack: LiveStack, targets: list[str], state: dict[str, float]) -> Evidence:  # noqa: ARG002
        return Evidence(True, {"ready_after_s": state})
