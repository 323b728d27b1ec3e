"""A host that loses power."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from pytest_enterprise.faults.base import Evidence, Proof
from pytest_enterprise.faults.engine import EngineFault

if TYPE_CHECKING:
    from pytest_enterprise.faults.targets import Chooser
    from pytest_enterprise.live import LiveStack


@dataclass(frozen=True, kw_only=True)
class PowerFailure(EngineFault):
    """Kills each instance and takes away what it wrote and had not synced; back when the fault ends.

    Its engine must be declared with ``disk=True``.
    """

    kind: ClassVar[str] = "power_failure"
    proof: ClassVar[Proof] = "acted"

    def resolve(self, choose: Chooser) -> list[str]:
        targets = super().resolve(choose)
        for name in targets:
            choose.stack.running.disk(name)
        return targets

    def begin(self, choose: Chooser, targets: list[str]) -> dict[str, Any]:
        stack = choose.stack
        lost = {}
        for name in targets:
            instance = stack.running.instance(name)
            stack.portal.call(instance.kill())
            lost[name] = {"ended": instance.exit_status(), **stack.running.disk(name).ask("lose")}
        return lost

    def end(self, stack: LiveStack, targets: list[str], state: dict[str, Any]) -> Evidence:
        back = {name: round(stack.portal.call(stack.running.restart(name)), 3) for name in targets}
        lost = {key: sum(one[key] for one in state.values()) for key in ("lost_bytes", "lost_names")}
        ended = {name: one["ended"] for name, one in state.items()}
        return Evidence(True, {**lost, "ended": ended, "ready_after_s": back})
