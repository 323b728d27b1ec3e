"""One application of a fault: begun, proven, undone, and seen to be over."""

from __future__ import annotations

import time
from random import Random
from types import TracebackType
from typing import TYPE_CHECKING, Any

from pytest_enterprise.errors import ActedOnNothing, ConfigurationError, EngineFailed, FaultFailed
from pytest_enterprise.faults.base import Evidence, Fault
from pytest_enterprise.faults.targets import Chooser

if TYPE_CHECKING:
    from pytest_enterprise.faults.session import Faults


class ActiveFault:
    """One application of a fault: ``begin`` and ``end`` it, or use it in a ``with`` statement."""

    def __init__(self, faults: Faults, fault: Fault) -> None:
        self.fault = fault
        self.id = f"{faults.stack.run.worker or 'main'}-{next(faults.stack.run.numbers)}"
        # Not of the run's numbers: the same test must choose the same again when it runs alone.
        self._random = Random(f"{faults.stack.run.seed}/{faults.test}/{len(faults.all)}")
        self.targets = fault.resolve(Chooser(faults.stack, None))
        """What it acts on; before it begins, what it may act on."""
        self.began_ns: int | None = None
        """CLOCK_MONOTONIC in ns from which it acted."""
        self.ended_ns: int | None = None
        """CLOCK_MONOTONIC in ns at which it was undone."""
        self._faults = faults
        self._state: Any = None
        self._alive: list[str] = []
        """The instances at its targets that ran when it began, and must be well when it has ended."""

    def begin(self) -> ActiveFault:
        """Apply it. Raises ConfigurationError when it contradicts a fault that is on."""
        if self.began_ns is not None:
            raise ConfigurationError(f"{self.fault.kind} on {self.fault.target} has begun already; make a new one")
        stack = self._faults.stack
        if engines := stack.running.engines_at(self.targets):
            stack.ensure(*engines)
        choose = Chooser(stack, self._random)
        self.targets = self.fault.resolve(choose)
        self._alive = stack.portal.call(stack.running.alive_at(self.targets))
        with self._faults.changing:
            self._faults.refuse_contradiction(self)
            self._faults.active.append(self)
        began = time.monotonic_ns()
        try:
            self._state = self.fault.begin(choose, self.targets)
        except BaseException:
            self._faults.active.remove(self)
            raise
        self.began_ns = began
        stack.run.events.emit(
            "fault.began",
            fault=self.id,
            test=self._faults.test,
            fault_kind=self.fault.kind,
            target=self.fault.target,
            targets=self.targets,
            settings=self.fault.settings,
            began=began,
        )
        return self

    def end(self) -> None:
        """Undo it, and see that its targets are well again unless another fault is on.

        Raises FaultFailed when it cannot be undone or a target does not come back, ActedOnNothing when it met nothing.
        Does nothing the second time.
        """
        with self._faults.changing:
            if self not in self._faults.active or self.began_ns is None:
                return
            self._faults.active.remove(self)
        stack = self._faults.stack
        evidence = self.fault.end(stack, self.targets, self._state)
        self.ended_ns = time.monotonic_ns()
        proof = self.fault.proof
        if getattr(self.fault, "inner", self.fault).by_links and stack.running.foreign_proxy:
            evidence, proof = Evidence(True, {}), "unproven"
        stack.run.events.emit(
            "fault.ended",
            fault=self.id,
            test=self._faults.test,
            proof=proof,
            acted=evidence.acted,
            evidence=dict(evidence.facts),
            ended=self.ended_ns,
        )
        if not self._faults.active:
            self._see_recovery()
        if not evidence.acted:
            raise ActedOnNothing(
                f"{self.fault.kind} on {self.fault.target} acted on nothing ({dict(evidence.facts)}): a scenario with "
                "it would prove nothing. See that the target carries traffic while the fault is on; the clients of an "
                "external engine must be given the link's address."
            )

    def _see_recovery(self) -> None:
        stack = self._faults.stack
        try:
            took = stack.portal.call(stack.running.recovered(self._alive))
        except EngineFailed as error:
            raise FaultFailed(
                f"{self.fault.kind} on {self.fault.target} has ended, but not all is well again: {error}"
            ) from None
        stack.run.events.emit("fault.recovered", fault=self.id, test=self._faults.test, ready_after=took)

    def __enter__(self) -> ActiveFault:
        return self.begin()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        try:
            self.end()
        except ActedOnNothing:
            # What went wrong inside says more than that the fault therefore met no traffic.
            if error is None:
                raise
