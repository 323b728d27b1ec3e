"""A schedule that is played: each fault begins and ends at its moment, beside whatever the test does."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from types import TracebackType

from pytest_enterprise.errors import ActedOnNothing
from pytest_enterprise.faults.active import ActiveFault
from pytest_enterprise.faults.schedule import Entry


class Playback:
    """Begins with ``with``, and ends with the block at the latest; :meth:`wait` waits for the schedule's end."""

    def __init__(self, made: Sequence[tuple[Entry, ActiveFault]]) -> None:
        self.faults = [fault for _, fault in made]
        """In the order in which they begin; objectives take them."""
        self.late: list[float] = []
        """Seconds by which each beginning and each end was late."""
        self._made = made
        self._over = threading.Event()
        self._threads: list[threading.Thread] = []
        self._failures: list[BaseException] = []

    def begin(self) -> Playback:
        """Start to play."""
        start = time.monotonic()
        # One thread each: a fault that takes long to begin must not delay the others.
        for entry, fault in self._made:
            thread = threading.Thread(target=self._play, args=(start, entry, fault), name=fault.id, daemon=True)
            self._threads.append(thread)
            thread.start()
        return self

    def _play(self, start: float, entry: Entry, fault: ActiveFault) -> None:
        try:
            if self._until(start + entry.at):
                fault.begin()
                self._until(start + entry.at + entry.lasts)
        except BaseException as error:  # told by end(), in the test's thread
            self._failures.append(error)
        finally:
            try:
                fault.end()
            except BaseException as error:
                self._failures.append(error)

    def _until(self, moment: float) -> bool:
        """Wait for a moment; False when the playback is over before."""
        if self._over.wait(max(0.0, moment - time.monotonic())):
            return False
        self.late.append(time.monotonic() - moment)
        return True

    def wait(self) -> None:
        """Return when the last fault has ended; raises what went wrong."""
        for thread in self._threads:
            thread.join()
        if self._failures:
            raise self._failures[0]

    def end(self) -> None:
        """End what is on, begin nothing more; raises what went wrong."""
        self._over.set()
        self.wait()

    def __enter__(self) -> Playback:
        return self.begin()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        try:
            self.end()
        except ActedOnNothing:
            if error is None:
                raise
