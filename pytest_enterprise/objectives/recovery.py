"""How long until users are served again; :mod:`pytest_enterprise.objectives.moments` says from when on they are."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from pytest_enterprise.errors import ConfigurationError
from pytest_enterprise.load.records import Request
from pytest_enterprise.objectives import intervals
from pytest_enterprise.objectives.base import WORST, Bound, Objective, Verdict, check_number, too_few
from pytest_enterprise.objectives.moments import Found, Moments, find, moments, stretch
from pytest_enterprise.objectives.phases import Observed, Phase, Window

if TYPE_CHECKING:
    from pytest_enterprise.load.columns import Columns


LEAST = 5
"""Requests per ``sustained`` seconds before the fault, below which silence in it shows nothing."""


@dataclass(frozen=True, kw_only=True)
class Recovery(Objective):
    """Service holds again, and goes on holding, within so many seconds of the fault's start or end.

    See :mod:`pytest_enterprise.objectives.moments` for what that means exactly. Not judged when the load ended, or the
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
        if not len(found.at):
            return self._no_data(observed, window, since, until)
        if thin := self._thin(requests, observed, window):
            return self.verdict(window, "not judged", None, len(found.at), thin)
        where = find(found, until, self.availability, round(self.sustained * 1e9))
        if where.recovered is None:
            return self._not_recovered(window, found, where, since, until)
        moment = int(found.at[where.recovered])
        value = (moment - since) / 1e9
        before = (int(found.at[where.recovered - 1]) - since) / 1e9 if where.recovered else 0.0
        bad = int((~found.good).sum())
        detail = f"served again {value:.3f} s after the fault's {self._origin}, not yet at {before:.3f} s"
        detail += f"; {bad:,} requests not served" if bad else "; no request failed or was late"
        after = len(found.at) - where.recovered
        interval = (before, value)
        if value > self.within:
            worst = _worst(found, where.recovered + 1)
            return self.verdict(window, "broken", value, after, detail, interval=interval, worst=worst, moment=moment)
        required = intervals.needed(self.availability)
        if after < required:
            detail = f"{too_few(after, required, 'requests after recovery')}; {detail}"
            return self.verdict(window, "not judged", value, after, detail, interval=interval, moment=moment)
        return self.verdict(window, "held", value, after, detail, interval=interval, moment=moment)

    def _no_data(self, observed: Observed, window: Window, since: int, until: int) -> Verdict:
        if not len(observed.endpoint(self.endpoint)):
            return self.nothing(observed, window)
        why = (
            f"no request in the {max(until - since, 0) / 1e9:.1f} s from the {self._origin} of {window.label} to the "
            "load's end or the next fault: let the load run on"
        )
        return self.verdict(window, "not judged", None, 0, why)

    def _thin(self, requests: Columns, observed: Observed, window: Window) -> str:
        """Why the load is too thin for silence to mean anything; empty if it is not."""
        first, last = observed.span or (0, 0)
        earlier = int((requests.start < window.began_ns).sum())
        count, seconds = earlier, (window.began_ns - first) / 1e9
        if seconds < self.sustained:
            count, seconds = len(requests), (last - first) / 1e9
        if count * self.sustained >= LEAST * seconds:
            return ""
        return (
            f"{count / seconds:.2g} requests per second are too few to tell silence from rest: use more users, or "
            f"sustained={math.ceil(LEAST * seconds / max(count, 1) * 10) / 10:g} s"
        )

    def _not_recovered(self, window: Window, found: Moments, where: Found, since: int, until: int) -> Verdict:
        count = len(found.at)
        following = 0 if where.missed is None else where.missed + 1
        not_before = ((int(found.at[following]) if following < count else until) - since) / 1e9
        seconds = (until - since) / 1e9
        if not_before > self.within:
            detail = f"not served again in the {seconds:.1f} s after the fault's {self._origin}"
            detail += f", certainly not for {not_before:.3f} s"
            if found.good[:following].any():
                detail += ", or not for good"
            return self.verdict(window, "broken", None, count, detail, worst=_worst(found, count))
        detail = (
            f"only {count:,} requests in {seconds:.1f} s after the fault's {self._origin}, before the load "
            f"ended or the next fault began; {self.sustained:g} s with {stretch(self.availability):,} "
            "requests are needed after recovery: let the load run on, or use more users"
        )
        return self.verdict(window, "not judged", None, count, detail, worst=_worst(found, count))


def _before_next(requests: Columns, observed: Observed, until: int) -> Columns:
    """Without those that felt the next fault: they fail by that one."""
    if observed.span and until < observed.span[1]:
        return requests.where(requests.end < until)
    return requests


def _worst(found: Moments, count: int) -> list[Request]:
    """Of the first ``count``: those not served, the last first; where all were served, the slowest."""
    bad = (~found.good[:count]).nonzero()[0][-WORST:][::-1].tolist()
    return [found.requests[number] for number in bad] or found.requests[:count].slowest(WORST)
