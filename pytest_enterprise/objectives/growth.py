"""Whether something grows under a load that does not: memory, open files, connections; a leak is growth without end.

The slope is Theil and Sen's: the median of the slopes between all pairs of samples. A few outliers (a collection of
garbage, a pool that was filled at the start) do not move it, as they would move a fitted line.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar, NamedTuple

from pytest_enterprise.errors import ConfigurationError
from pytest_enterprise.objectives import intervals
from pytest_enterprise.objectives.base import Bound, Objective, Outcome, Verdict, check_number
from pytest_enterprise.objectives.phases import Observed, Phase, Window
from pytest_enterprise.objectives.text import between, quantity

Samples = Sequence[tuple[float, float]]
"""Moments in seconds, by whatever clock, and values."""
LEAST = 8
"""Samples below which even a value that never falls may do so by chance."""
_MOST = 1_000
"""Samples beyond which a long soak is thinned out evenly: the pairs are half a million then."""


class Slope(NamedTuple):
    """How fast something grows, per second."""

    value: float
    interval: tuple[float, float]
    """At 95 % confidence, for samples whose errors are independent."""


def slope(samples: Samples) -> Slope:
    """Theil and Sen's estimate with Sen's interval, from three or more samples at different moments."""
    import numpy as np

    chosen = np.array(sorted(samples)[:: math.ceil(len(samples) / _MOST)], dtype=float)
    first, second = np.triu_indices(len(chosen), 1)
    apart = chosen[second] - chosen[first]
    apart = apart[apart[:, 0] > 0]
    slopes = np.sort(apart[:, 1] / apart[:, 0])
    count, pairs = len(chosen), len(slopes)
    # Kendall's statistic of samples without a trend has this deviation: so many pairs may lie on either side by chance.
    spread = intervals.Z * math.sqrt(count * (count - 1) * (2 * count + 5) / 18)
    low, high = math.floor((pairs - spread) / 2) - 1, math.ceil((pairs + spread) / 2)
    return Slope(
        float(np.median(slopes)),
        (float(slopes[low]) if low >= 0 else -math.inf, float(slopes[high]) if high < pairs else math.inf),
    )


@dataclass(frozen=True)
class Growth(Objective):
    """A value that the test sampled grows by at most so much per second: ``Growth("memory", samples, 1e6, "B")``.

    ``samples`` may be those of one thing or, by name, of several (each replica of a service): then the one that grows
    fastest is judged. Held when the whole interval of its slope is within the limit, broken when it lies beyond; when
    it reaches across, or with fewer than 8 samples, it is not judged.
    """

    measured: ClassVar[bool] = False

    name: str = field()
    samples: Samples | dict[str, Samples] = field(hash=False)
    at_most: float
    """Per second, in ``unit``."""
    unit: str = ""
    """Of the values: ``B``, ``files``."""
    phase: Phase = field(default="whole", init=False)

    def _default_name(self) -> str:
        raise ConfigurationError("Growth: give it a name, such as 'memory'")

    def _check(self) -> None:
        check_number("Growth", "at_most", self.at_most, 0, 1e15)

    @property
    def bound(self) -> Bound:
        return Bound(self.at_most, "<=", f"{self.unit}/s")

    def judge(self, observed: Observed, window: Window | None) -> Verdict:  # noqa: ARG002
        sampled = self.samples if isinstance(self.samples, dict) else {"": self.samples}
        if not sampled:
            return self.verdict(None, "not judged", None, 0, "the test sampled nothing")
        thinnest = min(sampled, key=lambda name: len({moment for moment, _ in sampled[name]}))
        count = len({moment for moment, _ in sampled[thinnest]})
        if count < LEAST:
            why = f"{count:,} samples{_of(thinnest)}, {LEAST} needed to tell growth: sample more often, or for longer"
            return self.verdict(None, "not judged", None, count, why)
        slopes = {name: slope(samples) for name, samples in sampled.items()}
        worst = max(slopes, key=lambda name: slopes[name].interval[0])
        value, interval = slopes[worst]
        outcome: Outcome = "broken" if interval[0] > self.at_most else "held"
        if outcome == "held":
            # None has surely grown too fast; now the one counts that is the least sure not to have.
            worst = max(slopes, key=lambda name: slopes[name].interval[1])
            value, interval = slopes[worst]
        ordered = sorted(sampled[worst])
        begun, ended = ordered[0], ordered[-1]
        detail = (
            f"{quantity(begun[1], self.unit)} to {quantity(ended[1], self.unit)} in {ended[0] - begun[0]:.1f} s"
            f"{_of(worst)}; 95 % interval of its growth {between(interval, self.bound.unit)}"
        )
        if outcome == "held" and interval[1] > self.at_most:
            outcome = "not judged"
            detail = f"the interval reaches across the limit: let the load run for longer; {detail}"
        return self.verdict(None, outcome, value, len(ordered), detail, interval=interval)


def _of(name: str) -> str:
    return f" of {name}" if name else ""
