"""Whether b is slower than a, from pairs of blocks that ran side by side: a ratio, its interval, and a verdict.

Requests of one run are not exchangeable with those of another: a test on samples finds a difference between any two
runs of the same code. So a block is one value, each pair of neighbours one ratio, and only the pairs are resampled. The
ratio is the trimmed mean of the pairs' logarithms (a fifth left out at either end, since other work on the machine hits
single blocks) with a percentile bootstrap interval. On logarithms, so that swapping a and b inverts everything.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, Literal

from pytest_enterprise.errors import ConfigurationError
from pytest_enterprise.objectives.metrics import ALL, Metric

Found = Literal["regression", "improved", "no change", "not decided"]
LEAST = 6
"""Pairs below which nothing is decided: fewer have too few resamples that differ."""
_RESAMPLES = 4000
_PER_TAIL = 10
"""Resamples that must lie beyond each end of an interval for its ends not to be chance themselves."""
_MOST_RESAMPLES = 200_000
_MANY = 1000
"""Pairs beyond which nobody would wait: then the change lies at the margin itself."""
_FOR_POWER = 1.33
"""(z of 99.5 % + z of 80 %) / z of 99.5 %: half-widths that a change must lie beyond the margin to be told so often."""


@dataclass(frozen=True, kw_only=True)
class Compared:
    """What a comparison showed of one metric of one endpoint."""

    metric: str
    unit: str
    better: Literal["lower", "higher"]
    endpoint: str
    ratio: float | None
    """b / a; None where no pair could be compared."""
    interval: tuple[float, float] | None
    """Of the ratio, at ``confidence``."""
    confidence: float
    """Of this interval: what was asked for, corrected for the number of things compared at once."""
    margin: float
    """A change up to this share is no change worth a verdict."""
    outcome: Found
    blocks: tuple[tuple[float | None, float | None], ...]
    """Each pair's values, a before b, whichever ran first; None where a block showed none."""
    needed: int | None = None
    """How many blocks of each would probably decide; None where that is decided, or cannot be said."""
    detectable: float | None = None
    """The least change for the worse, as a share, that would have been found with a probability of 80 %."""
    detail: str = ""

    def event(self, test: str, comparison: str) -> dict[str, Any]:
        """The fields of the event ``comparison.judged``."""
        return {
            "test": test,
            "comparison": comparison,
            "metric": self.metric,
            "unit": self.unit,
            "better": self.better,
            "endpoint": self.endpoint,
            "ratio": self.ratio,
            "interval": self.interval,
            "confidence": self.confidence,
            "margin": self.margin,
            "outcome": self.outcome,
            "blocks": self.blocks,
            "needed": self.needed,
            "detectable": self.detectable,
            "detail": self.detail,
        }


def ratio_interval(
    ratios: Sequence[float], *, confidence: float = 0.99, seed: int | str = 0
) -> tuple[float, tuple[float, float]]:
    """The typical one of some ``ratios`` (each above 0), and its bootstrap interval; the same again for one seed."""
    logs = [math.log(ratio) for ratio in ratios]
    tail = (1 - confidence) / 2
    count = min(_MOST_RESAMPLES, max(_RESAMPLES, math.ceil(_PER_TAIL / tail)))
    random = Random(f"{seed}/{len(logs)}")
    means = sorted(_trimmed(random.choices(logs, k=len(logs))) for _ in range(count))
    outside = max(math.floor(count * tail), 1)
    # The same number of resamples beyond either end, so that inverted ratios have the inverted interval.
    low, high = means[outside - 1], means[-outside]
    return math.exp(_trimmed(logs)), (math.exp(low), math.exp(high))


def _trimmed(values: Sequence[float]) -> float:
    cut = len(values) // 5
    kept = sorted(values)[cut : len(values) - cut]
    return math.fsum(kept) / len(kept)


def compare_blocks(
    pairs: Sequence[tuple[float | None, float | None]],
    metric: Metric,
    *,
    endpoint: str = ALL,
    margin: float = 0.03,
    confidence: float = 0.99,
    among: int = 1,
    seed: int | str = 0,
) -> Compared:
    """The verdict on pairs of (a, b), each a block's value of ``metric``.

    ``among`` is how many such verdicts are given at once: each gets a level at which all hold together with
    ``confidence`` (Bonferroni, the correction that intervals have). Raises ConfigurationError for impossible settings.
    """
    check_settings(margin, confidence)
    level = 1 - (1 - confidence) / among
    whole = [b / a for a, b in pairs if a is not None and b is not None]
    left_out = len(pairs) - len(whole)
    told = f"{left_out} of {len(pairs)} pairs showed no {metric.name} and were left out" if left_out else ""

    def found(outcome: Found, detail: str, **fields: Any) -> Compared:
        return Compared(
            metric=metric.name,
            unit=metric.unit,
            better=metric.better,
            endpoint=endpoint,
            confidence=level,
            margin=margin,
            outcome=outcome,
            blocks=tuple(pairs),
            detail="; ".join(part for part in (detail, told) if part),
            **{"ratio": None, "interval": None, **fields},
        )

    if len(whole) < LEAST:
        why = f"{len(whole)} pairs of blocks could be compared, {LEAST} needed"
        return found("not decided", why, needed=max(LEAST, 12))
    ratio, (low, high) = ratio_interval(whole, confidence=level, seed=seed)
    edge = math.log1p(margin)
    half = (math.log(high) - math.log(low)) / 2
    detectable = math.expm1(edge + half * _FOR_POWER)
    outcome = judge_interval((low, high), margin, metric.better)
    needed, detail = None, _in_words(outcome, margin)
    if outcome == "not decided":
        needed = _needed(len(whole), abs(math.log(ratio)), edge, half)
        detail = f"the interval is too wide: it reaches across the margin of {margin:.1%}; " + (
            "the change lies at the margin itself, so no number of blocks decides"
            if needed is None
            else f"about {needed} blocks of each would decide"
        )
    return found(outcome, detail, ratio=ratio, interval=(low, high), needed=needed, detectable=detectable)


def judge_interval(interval: tuple[float, float], margin: float, better: str) -> Found:
    """Beyond the margin, within it, or neither: the whole interval of b / a decides, and it alone."""
    low, high = interval
    above, below = low > 1 + margin, high < 1 / (1 + margin)
    if above or below:
        return "regression" if above == (better == "lower") else "improved"
    return "no change" if high <= 1 + margin and low >= 1 / (1 + margin) else "not decided"


def check_settings(margin: float, confidence: float) -> None:
    """Raise ConfigurationError for a margin or a confidence that cannot be meant."""
    if not 0 <= margin < 10:
        raise ConfigurationError(f"margin={margin!r} is out of range; give a share such as 0.03 for 3 %")
    if not 0.5 <= confidence < 1:
        raise ConfigurationError(f"confidence={confidence!r} is out of range; give a share such as 0.99")


def _needed(pairs: int, change: float, edge: float, half: float) -> int | None:
    """Pairs with which the interval, narrower by the root of their number, would no longer reach the margin."""
    away = abs(change - edge)
    if away <= 0 or (wanted := pairs * (half / away) ** 2) > _MANY:
        return None
    return max(pairs + 2, 2 * math.ceil(wanted / 2))


def _in_words(outcome: Found, margin: float) -> str:
    return {
        "regression": f"worse, and the whole interval lies beyond the margin of {margin:.1%}",
        "improved": f"better, and the whole interval lies beyond the margin of {margin:.1%}",
        "no change": f"no change beyond the margin of {margin:.1%}",
        "not decided": "",
    }[outcome]
