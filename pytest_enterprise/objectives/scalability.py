"""How throughput grows with load: the Universal Scalability Law, fitted to measured steps, and the limit by search.

The law (Gunther): with load ``n`` (users, replicas) the throughput is ``λ n / (1 + σ (n - 1) + κ n (n - 1))``. λ is
what one does alone, σ the serial share of the work (contention), κ the cost of agreeing with each other (coherency).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import NamedTuple

from pytest_enterprise.errors import ConfigurationError
from pytest_enterprise.objectives.intervals import Z
from pytest_enterprise.objectives.runs import student_quantile

_RESAMPLES = 400
LEAST = 4
"""Steps of different load below which three coefficients say nothing."""


class Step(NamedTuple):
    """A load and the throughput that it got."""

    load: float
    throughput: float
    """Per second."""


class Law(NamedTuple):
    """The coefficients of the law."""

    rate: float
    """λ: throughput of one alone."""
    contention: float
    """σ, 0 or more."""
    coherency: float
    """κ, 0 or more."""

    def throughput(self, load: float) -> float:
        """What the law expects at a load."""
        return self.rate * load / (1 + self.contention * (load - 1) + self.coherency * load * (load - 1))

    @property
    def peak(self) -> float | None:
        """The load with the most throughput; None where more load always gives more."""
        if self.coherency <= 0:
            return None
        return max(1.0, math.sqrt(max(0.0, 1 - self.contention) / self.coherency))

    @property
    def knee(self) -> float | None:
        """The load with the most throughput per response time (Kleinrock's power): beyond it, users mostly wait.

        None where nothing holds it back.
        """
        sigma, kappa = self.contention, self.coherency
        if kappa > 0:
            root = math.sqrt((kappa - sigma) ** 2 + 12 * kappa * max(0.0, 1 - sigma))
            return max(1.0, (kappa - sigma + root) / (6 * kappa))
        return max(1.0, (1 - sigma) / sigma) if sigma > 0 else None


@dataclass(frozen=True, kw_only=True)
class Fit:
    """A law with the uncertainty of its coefficients, all at 95 %."""

    law: Law
    rate: tuple[float, float]
    contention: tuple[float, float]
    coherency: tuple[float, float]
    knee: tuple[float, float]
    """Infinite where some of the resamples have none."""
    peak: tuple[float, float]
    error: float
    """The root mean square of the relative deviations of the steps from the law."""


def fit(steps: Sequence[Step], *, seed: int | str = 0) -> Fit:
    """The law that fits best, with intervals by parametric bootstrap. Raises ConfigurationError for too few steps."""
    if len({step.load for step in steps}) < LEAST:
        raise ConfigurationError(f"{len(steps)} steps: give at least {LEAST} of different load to fit a law to")
    for step in steps:
        if not (step.load >= 1 and step.throughput > 0):
            raise ConfigurationError(f"{step}: give a load of 1 or more that got a throughput above 0")
    law = _least_squares(steps)
    deviations = [step.throughput / law.throughput(step.load) for step in steps]
    error = math.sqrt(math.fsum((d - 1) ** 2 for d in deviations) / len(steps))
    # Three coefficients were fitted, so that deviations are smaller than errors; and of few steps, their size is hardly
    # known, which Student's quantile allows for.
    freedom = max(1, len(steps) - 3)
    wider = math.sqrt(len(steps) / freedom) * student_quantile(0.975, freedom) / Z
    random = Random(f"scalability/{seed}")
    laws = []
    for _ in range(_RESAMPLES):
        drawn = [max(0.05, 1 + random.gauss(0, error * wider)) for _ in steps]
        laws.append(
            _least_squares([Step(s.load, law.throughput(s.load) * d) for s, d in zip(steps, drawn, strict=True)])
        )

    def middle(values: list[float]) -> tuple[float, float]:
        values.sort()
        cut = len(values) // 40
        return values[cut], values[-1 - cut]

    return Fit(
        law=law,
        rate=middle([one.rate for one in laws]),
        contention=middle([one.contention for one in laws]),
        coherency=middle([one.coherency for one in laws]),
        knee=middle([math.inf if one.knee is None else one.knee for one in laws]),
        peak=middle([math.inf if one.peak is None else one.peak for one in laws]),
        error=error,
    )


def _least_squares(steps: Sequence[Step]) -> Law:
    """In ``n / X``, where the law is linear, weighted so that relative errors count; no coefficient below 0."""
    best: tuple[float, Law] | None = None
    for free in ((0, 1, 2), (0, 1), (0, 2), (0,)):
        rows, targets = [], []
        for load, throughput in steps:
            weight = throughput / load
            terms = (1.0, load - 1, load * (load - 1))
            rows.append([terms[i] * weight for i in free])
            targets.append(1.0)
        solved = _solve(rows, targets)
        if solved is None or solved[0] <= 0 or min(solved) < 0:
            continue
        found = dict(zip(free, solved, strict=True))
        law = Law(1 / found[0], found.get(1, 0.0) / found[0], found.get(2, 0.0) / found[0])
        lost = math.fsum((x / law.throughput(n) - 1) ** 2 for n, x in steps)
        if best is None or lost < best[0]:
            best = (lost, law)
    assert best is not None  # the last has one coefficient, a mean of positive figures
    return best[1]


def _solve(rows: list[list[float]], targets: list[float]) -> list[float] | None:
    """Least squares by the normal equations, scaled first; None where they have no single solution."""
    size = len(rows[0])
    scales = [math.sqrt(math.fsum(row[i] ** 2 for row in rows)) or 1.0 for i in range(size)]
    scaled = [[row[i] / scales[i] for i in range(size)] for row in rows]
    matrix = [
        [math.fsum(row[i] * row[j] for row in scaled) for j in range(size)]
        + [math.fsum(row[i] * target for row, target in zip(scaled, targets, strict=True))]
        for i in range(size)
    ]
    for i in range(size):
        pivot = max(range(i, size), key=lambda row: abs(matrix[row][i]))
        if abs(matrix[pivot][i]) < 1e-12:
            return None
        matrix[i], matrix[pivot] = matrix[pivot], matrix[i]
        for j in range(size):
            if j != i:
                factor = matrix[j][i] / matrix[i][i]
                matrix[j] = [x - factor * y for x, y in zip(matrix[j], matrix[i], strict=True)]
    return [matrix[i][size] / matrix[i][i] / scales[i] for i in range(size)]


@dataclass(frozen=True, kw_only=True)
class Limit:
    """The highest load at which all holds."""

    holds: float | None
    """The highest at which everything held, twice; None where not even the lowest did."""
    breaks: float | None
    """The lowest seen to break; None where even the highest held, so that the limit lies beyond."""
    trials: tuple[tuple[float, bool], ...]
    """Each load that was tried, in order, and whether it held."""


def search(holds: Callable[[float], bool], low: float, high: float, *, within: float = 0.05) -> Limit:
    """The limit between ``low`` and ``high`` to a share of ``within``, confirmed by one more trial.

    From ``low`` on the load is doubled until it does not hold, then the space between is halved: a load far beyond the
    limit would tell no more, and may leave the system in a state in which nothing holds any more. A load that held in
    the search and not in its confirmation counts as broken, and the search goes on below it.
    """
    if not 0 < low < high < math.inf:
        raise ConfigurationError(f"low={low!r}, high={high!r}: give two finite numbers with 0 < low < high")
    if not 0.001 <= within < 1:
        raise ConfigurationError(f"within={within!r} is out of range; give a share such as 0.05")
    trials: list[tuple[float, bool]] = []

    def tried(load: float) -> bool:
        trials.append((load, holds(load)))
        return trials[-1][1]

    if not tried(low):
        return Limit(holds=None, breaks=low, trials=tuple(trials))
    good, bad = low, None
    while good < high and bad is None:
        load = min(2 * good, high)
        if tried(load):
            good = load
        else:
            bad = load
    floor = low
    while True:
        while bad is not None and bad > good * (1 + within):
            middle = math.sqrt(good * bad)
            if tried(middle):
                good = middle
            else:
                bad = middle
        if tried(good):
            return Limit(holds=good, breaks=bad, trials=tuple(trials))
        if good <= floor:
            return Limit(holds=None, breaks=good, trials=tuple(trials))
        bad, good = good, floor
