"""A killed engine: the whole of it, at once."""

from __future__ import annotations

import signal as signals
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from pytest_enterprise.errors import ConfigurationError, FaultFailed, nearest
from pytest_enterprise.faults.base import Evidence, Proof
from pytest_enterprise.faults.engine import EngineFault

if TYPE_CHECKING:
    from pytest_enterprise.faults.targets import Chooser
    from pytest_enterprise.live import LiveStack


@dataclass(frozen=True, kw_only=True)
class Kill(EngineFault):
    """Ends every process of the instance by ``signal``; started again, at the same place, when the fault ends."""

    kind: ClassVar[str] = "kill"
    proof: ClassVar[Proof] = "acted"

    signal: str = "SIGKILL"

    def __post_init__(self) -> None:
        known = [s.name for s in signals.Signals]
        if self.signal not in known:
            raise ConfigurationError(f"kill: signal={self.signal!r} does not exist. {nearest(self.signal, known)}")

    def begin(self, choose: Chooser, targets: list[str]) -> dict[str, str | None]:
        stack = choose.stack
        ended: dict[str, str | None] = {}
        for name in targets:
            instance = stack.running.instance(name)
            stack.portal.call(instance.kill(self.signal))
            ended[name] = instance.exit_status()
        return ended

    def end(self, stack: LiveStack, targets: list[str], state: dict[str, str | None]) -> Evidence:
        back = {}
        for name in targets:
            if stack.portal.call(stack.running.instance(name).alive()):
                continue  # the signal did not end it
            back[name] = round(stack.portal.call(stack.running.restart(name)), 3)
        if not back and self.signal == "SIGKILL":
            raise FaultFailed(f"kill: {', '.join(targets)} was alive all the time")
        return Evidence(bool(back), {"ended": state, "ready_after_s": back})
