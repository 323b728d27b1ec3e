"""The moment from which users are served again, found from single requests, not from buckets of time.

- A request is *good* when it succeeded (within a latency, if one is given). A good one counts at its end, when the
  user had the answer; a bad one at its start, when a user was not served, however long it hung after that. Good ones
  that started before the moment counted from are left out: they tell of the time before. Bad ones that were under way
  then count at that moment.
- At a request, service *holds* when at least the share ``availability`` is good among those of the next ``sustained``
  seconds, or of the next ``1 / (1 - availability)`` requests where that takes longer (of fewer requests no such share
  can be told), and when the next one comes within ``sustained`` seconds: silence is not service.
- Recovered is the first good request from which on service holds at every request, until the next fault begins or the
  load ends. Requests too close to that end to have their full stretch are part of those before them.

The resolution is the time between that request and the last that came before it: the true moment lies between. Failures
that ``availability`` allows may come after it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from pytest_enterprise.objectives import intervals

if TYPE_CHECKING:
    from pytest_enterprise.load.columns import Columns, Ints, Mask


class Moments(NamedTuple):
    """Good and bad requests in the order in which they count."""

    at: Ints
    """The moment at which each counts, in ns."""
    good: Mask
    requests: Columns


class Found(NamedTuple):
    """Where service held again."""

    recovered: int | None
    """Index of the moment from which it holds; None: it did not hold at the end."""
    missed: int | None
    """Index of the last moment at which it did not hold; None: it always held."""


def moments(requests: Columns, since: int, until: int, latency: float | None) -> Moments:
    """The good and bad requests from ``since`` to ``until`` (ns) in the order in which they count."""
    import numpy as np

    good = ~requests.failed
    if latency is not None:
        good &= requests.took <= round(latency * 1e9)
    begun = np.maximum(requests.start, since)
    counts = np.where(
        good,
        (requests.start >= since) & (requests.end <= until),
        (requests.end >= since) & (begun <= until),
    )
    chosen = np.flatnonzero(counts)
    at = np.where(good, requests.end, begun)[chosen]
    # By moment, and at the same one the bad before the good: one key, since it is twice as quick as two.
    order = np.argsort(at * 2 + good[chosen], kind="stable")
    return Moments(at[order], good[chosen[order]], requests.taken(chosen[order]))


def find(found: Moments, until: int, availability: float, sustained: int) -> Found:
    """The first moment from which service holds; ``until`` and ``sustained`` in ns."""
    import numpy as np

    at, count = found.at, len(found.at)
    least = stretch(availability)
    goods = np.concatenate(([0], np.cumsum(found.good)))
    # Those that have a full stretch come first.
    judged = max(min(int(np.searchsorted(at, until - sustained, "right")), count - least + 1), 0)
    silent = np.diff(at, append=until) > sustained
    first = np.arange(judged)
    stop = np.maximum(np.searchsorted(at, at[:judged] + sustained, "left"), first + least)
    if judged:
        stop[-1] = count  # the last full stretch takes what is left
    short = goods[stop] - goods[first] < availability * (stop - first)
    silent[:judged] |= short
    missing = np.flatnonzero(silent)
    missed = int(missing[-1]) if len(missing) else None
    begin = 0 if missed is None else missed + 1
    served = np.flatnonzero(found.good[begin:judged])
    return Found(begin + int(served[0]) if len(served) else None, missed)


def stretch(availability: float) -> int:
    """The least number of requests of which the share can be told."""
    return intervals.needed(availability) // intervals.PER_ALLOWED
