"""A paused engine: alive, and silent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from pytest_enterprise.faults.base import Evidence, Proof
from pytest_enterprise.faults.engine import EngineFault

if TYPE_CHECKING:
    from pytest_enterprise.faults.targets import Chooser
    from pytest_enterprise.live import LiveStack


@dataclass(frozen=True, kw_only=True)
class Pause(EngineFault):
    """Stops every process of the instance: its connections stay open and nothing answers."""

    kind: ClassVar[str] = "pause"
    proof: ClassVar[Proof] = "acted"

    def begin(self, choose: Chooser, targets: list[str]) -> bool:
        stack = choose.stack
        done = []
        try:
            for name in targets:
                done.append(name)
                stack.portal.call(stack.running.instance(name).pause())
        except BaseException:
            for name in done:
                stack.portal.call(stack.running.instance(name).resume())
            raise
        return all(stack.portal.call(stack.running.instance(name).paused()) for name in targets)

    def end(self, stack: LiveStack, targets: list[str], state: bool) -> Evidence:
        still = {name: stack.portal.call(stack.running.instance(name).paused()) for name in targets}
        for name in targets:
            stack.portal.call(stack.running.instance(name).resume())
        return Evidence(state and all(still.values()), {"stopped_until_the_end": still})
