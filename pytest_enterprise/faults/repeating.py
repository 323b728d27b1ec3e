"""Faults that act again and again, in a thread of their own, until they end."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from pytest_enterprise.faults.base import Evidence, Fault, Proof, positive
from pytest_enterprise.faults.engine import EngineFault

if TYPE_CHECKING:
    from pytest_enterprise.faults.targets import Chooser
    from pytest_enterprise.live import LiveStack


class Repetition:
    """Calls ``step`` with a wait that is over early when it is to stop, until it is stopped."""

    def __init__(self, step: Callable[[Callable[[float], bool]], None]) -> None:
        self._step = step
        self._over = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="fault", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            while not self._over.is_set():
                self._step(self._over.wait)
        except BaseException as error:  # told by stop(), in the test's thread
            self._failure = error

    def stop(self) -> None:
        """Let the step that goes on come to its end; raises what it raised."""
        self._over.set()
        self._thread.join()
        if self._failure:
            raise self._failure


@dataclass(frozen=True, kw_only=True)
class Flapping(Fault):
    """Another fault, on for ``on`` seconds and off for ``off`` seconds, over and over."""

    kind: ClassVar[str] = "flapping"
    proof: ClassVar[Proof] = "acted"

    target: str = ""
    inner: Fault
    on: float
    off: float

    def __post_init__(self) -> None:
        positive(self.kind, "on", self.on, limit=600, unit="seconds")
        positive(self.kind, "off", self.off, limit=600, unit="seconds")
        object.__setattr__(self, "target", self.inner.target)

    @property
    def settings(self) -> dict[str, Any]:
        return {"fault": self.inner.kind, **self.inner.settings, "on": self.on, "off": self.off}

    def resolve(self, choose: Chooser) -> list[str]:
        return self.inner.resolve(choose)

    def begin(self, choose: Chooser, targets: list[str]) -> tuple[Repetition, list[Evidence]]:
        seen: list[Evidence] = []

        def flap(wait: Callable[[float], bool]) -> None:
            state = self.inner.begin(choose, targets)
            try:
                wait(self.on)
            finally:
                seen.append(self.inner.end(choose.stack, targets, state))
            wait(self.off)

        return Repetition(flap), seen

    def end(self, stack: LiveStack, targets: list[str], state: tuple[Repetition, list[Evidence]]) -> Evidence:  # noqa: ARG002
        repetition, seen = state
        repetition.stop()
        acted = [evidence for evidence in seen if evidence.acted]
        return Evidence(bool(acted), {"times": len(seen), "times_acted": len(acted)})


@dataclass(frozen=True, kw_only=True)
class CrashLoop(EngineFault):
    """Kills the instances, starts them again, and kills them ``up`` seconds after each is ready, over and over."""

    kind: ClassVar[str] = "crash_loop"
    proof: ClassVar[Proof] = "acted"

    up: float = 0.5

    def __post_init__(self) -> None:
        positive(self.kind, "up", self.up, limit=600, unit="seconds", zero=True)

    def begin(self, choose: Chooser, targets: list[str]) -> tuple[Repetition, list[float]]:
        stack = choose.stack
        crashes: list[float] = []

        def crash(wait: Callable[[float], bool]) -> None:
            for name in targets:
                stack.portal.call(stack.running.instance(name).kill())
                crashes.append(time.monotonic())
            for name in targets:
                stack.portal.call(stack.running.restart(name))
            wait(self.up)

        return Repetition(crash), crashes

    def end(self, stack: LiveStack, targets: list[str], state: tuple[Repetition, list[float]]) -> Evidence:
        repetition, crashes = state
        try:
            repetition.stop()
        finally:
            for name in targets:
                if not stack.portal.call(stack.running.instance(name).alive()):
                    stack.portal.call(stack.running.restart(name))
        return Evidence(bool(crashes), {"crashes": len(crashes)})
