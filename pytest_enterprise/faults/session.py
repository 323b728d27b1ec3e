"""The ``faults`` fixture: applies faults to the running stack, proves that they acted, and undoes every one."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_enterprise.errors import ActedOnNothing, ConfigurationError, FaultFailed
from pytest_enterprise.faults.active import ActiveFault
from pytest_enterprise.faults.base import Fault
from pytest_enterprise.faults.catalogue import Catalogue
from pytest_enterprise.faults.guard import Guards
from pytest_enterprise.faults.playback import Playback
from pytest_enterprise.faults.schedule import Schedule, read

if TYPE_CHECKING:
    from pytest_enterprise.live import LiveStack


class Faults(Catalogue):
    """Makes faults on one stack, for one test."""

    def __init__(self, stack: LiveStack, test: str) -> None:
        self.stack = stack
        self.test = test
        self.active: list[ActiveFault] = []
        self.all: list[ActiveFault] = []
        self.changing = threading.Lock()
        self._guards = Guards(stack.run.directory, self._breached)
        self._breach = ""

    def refuse_contradiction(self, new: ActiveFault) -> None:
        """Raise ConfigurationError when ``new`` and a fault that is on cannot both be true of one target."""
        for other in self.active:
            if common := contradiction(new.fault, new.targets, other.fault, other.targets):
                raise ConfigurationError(
                    f"{new.fault.kind} and {other.fault.kind} contradict each other on {common}: "
                    f"end the {other.fault.kind} first"
                )
        if self._breach:
            raise FaultFailed(self._breach)
        self._guards.watch()

    def apply(self, fault: Fault) -> ActiveFault:
        """An application of any fault, not yet begun."""
        made = ActiveFault(self, fault)
        self.all.append(made)
        return made

    def play(self, schedule: Schedule | Mapping[str, Any] | str | Path) -> Playback:
        """A schedule of faults (an object, a document, or the path of a JSON file), not yet begun.

        Raises ConfigurationError when it cannot be meant or contradicts itself.
        """
        parsed = read(schedule)
        made = [(entry, self.apply(entry.fault)) for entry in parsed.entries]
        for index, (entry, fault) in enumerate(made):
            for other, earlier in made[:index]:
                if entry.overlaps(other) and (
                    common := contradiction(fault.fault, fault.targets, earlier.fault, earlier.targets)
                ):
                    raise ConfigurationError(
                        f"the schedule contradicts itself: {other.fault.kind} from {other.at:g} s and "
                        f"{entry.fault.kind} from {entry.at:g} s are both on {common}; let one end before the other"
                    )
        return Playback(made)

    def guard(self, name: str, check: Callable[[], str | None]) -> None:
        """End all faults at once, and fail the test, as soon as ``check`` returns a reason; asked four times a second.

        A guard is there from the start: the disk of the run directory must not fill up.
        """
        self._guards.checks[name] = check

    def _breached(self, name: str, reason: str) -> None:
        self._breach = f"the guard {name!r} was breached: {reason}. All faults were ended at once"
        self.stack.run.events.emit("guard.breached", test=self.test, guard=name, reason=reason)
        self._end_all()

    def _end_all(self) -> list[BaseException]:
        """Undo every fault that is on, the last first; what went wrong."""
        failures: list[BaseException] = []
        for fault in reversed(self.active[:]):
            try:
                fault.end()
            except Exception as error:
                failures.append(error)
        return failures

    def close(self, *, failed: bool = False) -> None:
        """Undo every fault that is on, the last first; raises the first failure when all was tried.

        ``failed``: the test has failed already, so that a fault which met no traffic is no further news.
        """
        self._guards.close()
        failures = [error for error in self._end_all() if not (failed and isinstance(error, ActedOnNothing))]
        if self._breach:
            raise FaultFailed(self._breach)
        if failures:
            raise failures[0]


def contradiction(new: Fault, targets: list[str], other: Fault, others: list[str]) -> str:
    """A target of which two faults cannot both be true; empty when there is none."""
    common = set(targets) & set(others)
    if common and (other.kind in new.excludes or new.kind in other.excludes):
        return min(common)
    return ""
