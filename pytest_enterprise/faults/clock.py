"""A clock that is wrong."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from pytest_enterprise.engines.clock import Watch
from pytest_enterprise.errors import ConfigurationError
from pytest_enterprise.faults.base import Evidence, Proof, positive
from pytest_enterprise.faults.engine import EngineFault
from pytest_enterprise.faults.repeating import Repetition

if TYPE_CHECKING:
    from pytest_enterprise.faults.targets import Chooser
    from pytest_enterprise.live import LiveStack

_YEARS = 10 * 366 * 86_400
_STEP = 0.02
"""Seconds between two corrections of a clock that runs too fast or too slow."""


class _State(NamedTuple):
    watches: dict[str, Watch]
    drift: Repetition | None


@dataclass(frozen=True, kw_only=True)
class Clock(EngineFault):
    """Sets the clock of each instance ``offset`` seconds ahead (behind: negative), and lets it run at ``rate``.

    It is right again when the fault ends, so a clock that jumped forward jumps back then. A strobe is
    ``flapping(clock(...))``. The engine must be declared with ``clock=True``. Acted when its programs looked at the
    clock meanwhile.
    """

    kind: ClassVar[str] = "clock"
    proof: ClassVar[Proof] = "acted"
    excludes: ClassVar[frozenset[str]] = frozenset({"clock"})

    offset: float = 0.0
    rate: float = 1.0

    def __post_init__(self) -> None:
        if isinstance(self.offset, bool) or not isinstance(self.offset, (int, float)):
            raise ConfigurationError(f"clock: offset={self.offset!r} is not a number of seconds")
        positive(self.kind, "offset", abs(self.offset), limit=_YEARS, unit="seconds", zero=True)
        positive(self.kind, "rate", self.rate, limit=100, unit="seconds per second")
        if not self.offset and self.rate == 1:
            raise ConfigurationError("clock: offset=0 and rate=1 leave the clock right; give one of them")

    def resolve(self, choose: Chooser) -> list[str]:
        targets = super().resolve(choose)
        for name in targets:
            choose.stack.running.clock(name)
        return targets

    def begin(self, choose: Chooser, targets: list[str]) -> _State:
        clocks = {name: choose.stack.running.clock(name) for name in targets}
        began = time.monotonic()

        def set_all() -> None:
            for clock in clocks.values():
                clock.set(self.offset + (self.rate - 1) * (time.monotonic() - began))

        def step(wait: Callable[[float], bool]) -> None:
            set_all()
            wait(_STEP)

        set_all()
        watches = {name: clock.watch() for name, clock in clocks.items()}
        return _State(watches, Repetition(step) if self.rate != 1 else None)

    def end(self, stack: LiveStack, targets: list[str], state: _State) -> Evidence:
        try:
            if state.drift:
                state.drift.stop()
        finally:
            for name in targets:
                stack.running.clock(name).set(0)
        looked = [name for name, watch in state.watches.items() if watch.close()]
        facts: dict[str, Any] = {"looked_at_by": looked}
        return Evidence(bool(looked), facts)
