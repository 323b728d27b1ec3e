"""How long a fault goes unnoticed: until an alert fires, a route changes, a health check fails."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, NamedTuple

from pytest_enterprise.objectives.base import Bound, Objective, Outcome, Verdict, check_number
from pytest_enterprise.objectives.phases import Observed, Phase, Window


class Sighting(NamedTuple):
    """What came of looking for something again and again; all moments are CLOCK_MONOTONIC in ns."""

    at_ns: int | None
    """The end of the first look that saw it; None: none did."""
    unseen_ns: int | None
    """The start of the last look before that which did not see it; None: the first look saw it."""


def watch(seen: Callable[[], object], *, timeout: float = 30.0, every: float = 0.05) -> Sighting:
    """Look until ``seen()`` is true, at most ``timeout`` seconds, with ``every`` seconds between two looks.

    Call it while the fault is on: ``with faults.kill("shop-1") as kill: noticed = watch(lambda: gateway.ejected())``.
    """
    check_number("watch", "timeout", timeout, 0, 86400)
    check_number("watch", "every", every, 0, 3600)
    end = time.monotonic_ns() + round(timeout * 1e9)
    unseen = None
    while (began := time.monotonic_ns()) <= end:
        if seen():
            return Sighting(time.monotonic_ns(), unseen)
        unseen = began
        time.sleep(every)
    return Sighting(None, unseen)


@dataclass(frozen=True, kw_only=True)
class TimeToDetect(Objective):
    """Something noticed the fault within so many seconds of its start.

    ``noticed`` is what :func:`watch` gave, or the moment itself (CLOCK_MONOTONIC in ns) where the test knows it, or a
    list of them, of which each fault takes the first that lies after its start. Looks that are too far apart to say on
    which side of the limit it was noticed are not judged; nor is what was there before the fault.
    """

    measured: ClassVar[bool] = False

    within: float
    """Seconds."""
    noticed: Sighting | int | Sequence[Sighting | int]
    phase: Phase = field(default="during", init=False)

    def _default_name(self) -> str:
        return "time-to-detect"

    def _check(self) -> None:
        check_number("TimeToDetect", "within", self.within, 0, 86400)

    @property
    def bound(self) -> Bound:
        return Bound(self.within, "<=", "s")

    def judge(self, observed: Observed, window: Window | None) -> Verdict:
        if window is None:
            return self.nothing(observed, window)
        given = [self.noticed] if isinstance(self.noticed, (Sighting, int)) else self.noticed
        sightings = [Sighting(entry, None) if isinstance(entry, int) else entry for entry in given]
        began = window.began_ns
        after = [s for s in sightings if s.at_ns is not None and s.at_ns >= began]
        if after:
            return self._seen(window, min(after, key=lambda s: s.at_ns or 0))
        looked = max((s.unseen_ns for s in sightings if s.at_ns is None and s.unseen_ns is not None), default=None)
        if looked is None:
            early = "it was there before the fault began, so it was not the fault that was noticed"
            why = early if sightings else "nobody looked: give what watch(...) returned"
            return self.verdict(window, "not judged", None, 0, why)
        seconds = (looked - began) / 1e9
        detail = f"not noticed in the {seconds:.3f} s from the fault's start to the last look"
        if seconds > self.within:
            return self.verdict(window, "broken", None, 1, detail)
        return self.verdict(window, "not judged", None, 1, f"{detail}: look on for more than {self.within:g} s")

    def _seen(self, window: Window, sighting: Sighting) -> Verdict:
        assert sighting.at_ns is not None
        value = (sighting.at_ns - window.began_ns) / 1e9
        if sighting.unseen_ns is None:
            detail = f"noticed {value:.3f} s after the fault's start"
            return self.verdict(window, self._outcome(value), value, 1, detail)
        earliest = max(0.0, (sighting.unseen_ns - window.began_ns) / 1e9)
        detail = f"noticed {value:.3f} s after the fault's start, not yet at {earliest:.3f} s"
        if earliest < self.within < value:
            detail += f": these looks are too far apart to judge {self.within:g} s; give watch(every=...) less"
            return self.verdict(window, "not judged", value, 1, detail, interval=(earliest, value))
        return self.verdict(window, self._outcome(value), value, 1, detail, interval=(earliest, value))

    def _outcome(self, value: float) -> Outcome:
        return "held" if value <= self.within else "broken"
