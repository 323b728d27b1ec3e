"""How long until users are served again.

The moment of recovery is found from single requests, not from buckets of time:

- A request is *good* when it succeeded (within ``latency``, if that is given). A good one counts at its end, when the
  user had the answer; a bad one at its start, when a user was not served, however long it hung after that. Good ones
  that started before the moment counted from are left out: they tell of the time before. Bad ones that were under way
  then count at that moment.
- At a request, service *holds* when at least the share ``availability`` is good among those of the next ``sustained``
  seconds, or of the next ``1 / (1 - availability)`` requests where that takes longer (of fewer requests no such share
  can be told), and when the next one comes within ``sustained`` seconds: silence is not service.
- Recovered is the first good request from which on service holds at every request, until the next fault begins or the
  load ends. Requests too close to that end to have their full stretch are part of those before them.

The resolution is the time between that request and the last that came before it, given in the verdict: the true moment
lies between. Failures that ``availability`` allows may come after it.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Literal, NamedTuple

from pytest_enterprise.errors import ConfigurationError
from pytest_enterprise.load.records import Request
from pytest_enterprise.objectives import intervals
from pytest_enterprise.objectives.base import Bound, Objective, Verdict, check_number, too_few
from pytest_enterprise.objectives.phases import Observed, Phase, Window


class Moment(NamedTuple):
    """A good or bad request at the moment it counts at."""

    at: int
    """ns."""
    good: bool
    request: Request


class Found(NamedTuple):
    """Where service held again."""

    recovered: int | None
    """Index of the moment from which it holds; None: it did not hold at the end."""
    missed: int | None
    """Index of the last moment at which it did not hold; None: it always held."""


def moments(requests: Iterable[Request], since: int, until: int, latency: float | None) -> list[Moment]:
    """The good and bad requests from ``since`` to ``until`` (ns) in the order in which they count."""
    found = []
    for request in requests:
        good = not request.error and (latency is None or request.latency <= latency)
        if good and since <= request.start and request.end <= until:
            found.append(Moment(request.end, True, request))
        elif not good and since <= request.end and max(request.start, since) <= until:
            found.append(Moment(max(request.start, since), False, request))
    found.sort(key=lambda moment: (moment.at, moment.good))
    return found


def find(found: Sequence[Moment], until: int, availability: float, sustained: int) -> Found:
    """The first moment from which service holds; ``until`` and ``sustained`` in ns."""
    at = [moment.at for moment in found]
    goods = [0, *accumulate(moment.good for moment in found)]
    stretch = _stretch(availability)
    judged = sum(1 for i, t in enumerate(at) if t + sustained <= until and i + stretch <= len(at))
    missed = None
    for i in range(len(at) - 1, -1, -1):
        following = at[i + 1] if i + 1 < len(at) else until
        missed = i if following - at[i] > sustained else None
        if missed is None and i < judged:
            # The last full stretch takes what is left.
            stop = max(bisect_left(at, at[i] + sustained), i + stretch) if i + 1 < judged else len(at)
            missed = i if goods[stop] - goods[i] < availability * (stop - i) else None
        if missed is not None:
            break
    first = 0 if missed is None else missed + 1
    return Found(next((i for i in range(first, judged) if found[i].good), None), missed)


def _stretch(availability: float) -> int:
    """The least number of requests of which the share can be told."""
    return intervals.needed(availability) // intervals.PER_ALLOWED


LEAST = 5
"""Requests per ``sustained`` seconds before the fault, below which silence in it shows nothing."""


@dataclass(frozen=True, kw_only=True)
class Recovery(Objective):
    """Service holds again, and goes on holding, within so many seconds of the fault's start or end.

    See :mod:`pytest_enterprise.objectives.recovery` for what that means exactly. Not judged when the load ended, or the
    next fault began, before ``within`` seconds had passed without recovery, or with fewer than
    ``3 / (1 - availability)`` requests from the moment of recovery on (300 for 99 %).
    """

    within: float
    """Seconds."""
    since: Literal["begin", "end"] = "begin"
    availability: float = 0.99
    """The share of requests that must be good."""
    latency: float | None = None
    """Seconds within which a request must succeed to be good; None: however long it takes."""
    sustained: float = 1.0
    """Seconds."""
    phase: Phase = field(default="after", init=False)

    def _default_name(self) -> str:
        return "recovery"

    def _check(self) -> None:
        check_number("Recovery", "within", self.within, 0, 86400)
        check_number("Recovery", "availability", self.availability, 0, 1)
        check_number("Recovery", "sustained", self.sustained, 0, 3600)
        if self.latency is not None:
            check_number("Recovery", "latency", self.latency, 0, 86400)
        if self.since not in ("begin", "end"):
            raise ConfigurationError(f"Recovery: since={self.since!r} is neither 'begin' nor 'end'")

    @property
    def bound(self) -> Bound:
        return Bound(self.within, "<=", "s")

    @property
    def _origin(self) -> str:
        return "start" if self.since == "begin" else "end"

    def judge(self, observed: Observed, window: Window | None) -> Verdict:
        if window is None:
            return self.nothing(observed, window)
        since = window.began_ns if self.since == "begin" else window.ended_ns
        if since is None:
            why = f"{window.label} never ended, so there is no recovery from its end: end it while the load runs"
            return self.verdict(window, "not judged", None, 0, why)
        until = observed.horizon(window)
        requests = observed.endpoint(self.endpoint)
        found = moments(_before_next(requests, observed, until), since, until, self.latency)
        if not found:
            return self._no_data(observed, window, since, until)
        if thin := self._thin(requests, observed, window):
            return self.verdict(window, "not judged", None, len(found), thin)
        where = find(found, until, self.availability, round(self.sustained * 1e9))
        if where.recovered is None:
            return self._not_recovered(window, found, where, since, until)
        value = (found[where.recovered].at - since) / 1e9
        before = (found[where.recovered - 1].at - since) / 1e9 if where.recovered else 0.0
        bad = sum(1 for m in found if not m.good)
        detail = f"served again {value:.3f} s after the fault's {self._origin}, not yet at {before:.3f} s"
        detail += f"; {bad:,} requests not served" if bad else "; no request failed or was late"
        after = len(found) - where.recovered
        interval = (before, value)
        if value > self.within:
            worst = _worst(found[: where.recovered + 1])
            return self.verdict(window, "broken", value, after, detail, interval=interval, worst=worst)
        required = intervals.needed(self.availability)
        if after < required:
            detail = f"{too_few(after, required, 'requests after recovery')}; {detail}"
            return self.verdict(window, "not judged", value, after, detail, interval=interval)
        return self.verdict(window, "held", value, after, detail, interval=interval)

    def _no_data(self, observed: Observed, window: Window, since: int, until: int) -> Verdict:
        if not observed.endpoint(self.endpoint):
            return self.nothing(observed, window)
        why = (
            f"no request in the {max(until - since, 0) / 1e9:.1f} s from the {self._origin} of {window.label} to the "
            "load's end or the next fault: let the load run on"
        )
        return self.verdict(window, "not judged", None, 0, why)

    def _thin(self, requests: Sequence[Request], observed: Observed, window: Window) -> str:
        """Why the load is too thin for silence to mean anything; empty if it is not."""
        first, last = observed.span or (0, 0)
        earlier = sum(1 for r in requests if r.start < window.began_ns)
        count, seconds = earlier, (window.began_ns - first) / 1e9
        if seconds < self.sustained:
            count, seconds = len(requests), (last - first) / 1e9
        if count * self.sustained >= LEAST * seconds:
            return ""
        return (
            f"{count / seconds:.2g} requests per second are too few to tell silence from rest: use more users, or "
            f"sustained={math.ceil(LEAST * seconds / max(count, 1) * 10) / 10:g} s"
        )

    def _not_recovered(self, window: Window, found: Sequence[Moment], where: Found, since: int, until: int) -> Verdict:
        following = 0 if where.missed is None else where.missed + 1
        not_before = ((found[following].at if following < len(found) else until) - since) / 1e9
        seconds = (until - since) / 1e9
        if not_before > self.within:
            detail = f"not served again in the {seconds:.1f} s after the fault's {self._origin}"
            detail += f", certainly not for {not_before:.3f} s"
            if any(m.good for m in found[:following]):
                detail += ", or not for good"
            return self.verdict(window, "broken", None, len(found), detail, worst=_worst(found))
        detail = (
            f"only {len(found):,} requests in {seconds:.1f} s after the fault's {self._origin}, before the load "
            f"ended or the next fault began; {self.sustained:g} s with {_stretch(self.availability):,} "
            "requests are needed after recovery: let the load run on, or use more users"
        )
        return self.verdict(window, "not judged", None, len(found), detail, worst=_worst(found))


def _before_next(requests: Sequence[Request], observed: Observed, until: int) -> Iterable[Request]:
    """Without those that felt the next fault: they fail by that one."""
    if observed.span and until < observed.span[1]:
        return (r for r in requests if r.end < until)
    return requests


def _worst(found: Sequence[Moment]) -> list[Request]:
    """Those not served, the last first; where all were served, the slowest."""
    bad = [m.request for m in reversed(found) if not m.good]
    return bad or sorted((m.request for m in found), key=lambda r: -r.latency)
