"""The ``compare`` fixture: two versions by alternating blocks in one session."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from random import Random
from typing import TYPE_CHECKING, Any, Literal

from pytest_enterprise.errors import ConfigurationError, nearest
from pytest_enterprise.load import checks
from pytest_enterprise.load.blocks import as_block
from pytest_enterprise.objectives.comparison import Compared, check_settings, compare_blocks
from pytest_enterprise.objectives.metrics import ALL, Block, Metric, named
from pytest_enterprise.objectives.regression import NoRegression

if TYPE_CHECKING:
    from pytest_enterprise.objectives import Objectives

_FAILED = 0.01
"""The share of failures from which a side's figures say nothing of its speed: failing is fast."""

Work = Callable[[], Any]


class Comparison:
    """What a comparison found; :meth:`check` fails the test where b is worse than a."""

    def __init__(self, results: Sequence[Compared], objectives: Objectives | None, label: str = "") -> None:
        self._label = label
        self.results = tuple(results)
        """One for each metric and endpoint."""
        self._objectives = objectives

    def of(self, metric: str, endpoint: str = ALL) -> Compared:
        """The result of one metric and endpoint. Raises ConfigurationError for one that was not compared."""
        for result in self.results:
            if (result.metric, result.endpoint) == (metric, endpoint):
                return result
        known = [f"{result.metric} of {result.endpoint}" for result in self.results]
        raise ConfigurationError(
            f"{metric} of {endpoint} was not compared. {nearest(f'{metric} of {endpoint}', known)}"
        )

    @property
    def regressions(self) -> tuple[Compared, ...]:
        """Those in which b is worse beyond the margin."""
        return tuple(result for result in self.results if result.outcome == "regression")

    def objectives(self) -> list[NoRegression]:
        """As objectives, for an ``objectives.check`` that judges more; their names begin with ``no-regression``."""
        return [NoRegression(compared=result, label=self._label) for result in self.results]

    def check(self, *, must_decide: bool = True) -> None:
        """Raise ObjectiveBroken where b is worse, ObjectiveNotJudged where that could not be decided.

        Without ``must_decide`` what is not decided is reported and passes: a baseline begins without earlier runs.
        """
        __tracebackhide__ = True
        if self._objectives is None:
            raise ConfigurationError("this comparison was made outside a test: look at its results instead")
        from pytest_enterprise.objectives import ObjectiveNotJudged

        try:
            self._objectives.check(*self.objectives())
        except ObjectiveNotJudged:
            if must_decide:
                raise


class Compare:
    """Compares two callables that each run one block. Call it: ``compare(a, b, metric="p99").check()``."""

    def __init__(
        self, *, seed: int = 0, test: str = "", emit: Callable[..., Any] | None = None, objectives: Any = None
    ) -> None:
        self._seed = seed
        self._test = test
        self._emit = emit or (lambda *_, **__: None)
        self._objectives: Objectives | None = objectives
        self._made = 0

    def __call__(
        self,
        a: Work,
        b: Work,
        *,
        metric: str | Metric | Sequence[str | Metric] = "median",
        blocks: int = 12,
        margin: float = 0.03,
        confidence: float = 0.99,
        endpoints: Sequence[str] | Literal["each"] | None = None,
        warm_up: int = 1,
        name: str = "",
    ) -> Comparison:
        """Run ``blocks`` of each in alternation and compare them.

        ``endpoints`` are compared one by one, ``"each"`` all that occur, None all requests together; the intervals are
        corrected for the number of metrics and endpoints. ``warm_up`` blocks of each are run before and not counted.
        ``name`` tells comparisons of one test apart, in reports and in the names of their objectives. Raises
        ConfigurationError, and what the blocks raise.
        """
        checks.number("blocks", blocks, whole=True)
        check_settings(margin, confidence)
        wanted = [metric] if isinstance(metric, str | Metric) else list(metric)
        metrics = [named(one) for one in wanted]
        if not metrics:
            raise ConfigurationError("metric is an empty list, so nothing would be compared")
        self._made += 1
        label = name or (f"comparison {self._made}" if self._made > 1 else "")
        name = name or f"comparison {self._made}"
        seed = f"{self._seed}/{self._test}/{self._made}"
        for _ in range(warm_up):
            a(), b()
        pairs = []
        firsts = list(order(blocks, seed))
        for first in firsts:
            made = {side: _run((a, b)[side]) for side in (first, 1 - first)}
            pairs.append((made[0], made[1]))
        chosen = _endpoints(pairs, endpoints)
        among = len(chosen) * len(metrics)
        results = []
        for one in metrics:
            for endpoint in chosen:
                values = [(one.value(x, endpoint), one.value(y, endpoint)) for x, y in pairs]
                result = compare_blocks(
                    values, one, endpoint=endpoint, margin=margin, confidence=confidence, among=among, seed=seed
                )
                results.append(_honest(result, pairs))
                told = results[-1].event(self._test, name)
                self._emit("comparison.judged", **told, first=["ab"[first] for first in firsts])
        return Comparison(results, self._objectives, label)


def order(blocks: int, seed: int | str) -> Iterator[int]:
    """Which side (0: a, 1: b) runs first in each pair: ABBA or BAAB by chance, so that a steady drift cancels out."""
    random = Random(f"order/{seed}")
    first = 0
    for number in range(blocks):
        first = 1 - first if number % 2 else random.randrange(2)
        yield first


def _run(work: Work) -> Block:
    began = time.monotonic()
    given = work()
    return as_block(given, time.monotonic() - began)


def _endpoints(pairs: Sequence[tuple[Block, Block]], asked: Sequence[str] | str | None) -> list[str]:
    if asked is None:
        return [ALL]
    known = sorted({name for pair in pairs for block in pair for name in block.samples} - {ALL})
    if asked == "each":
        return known or [ALL]
    for name in asked:
        if name not in known:
            raise ConfigurationError(f"endpoints: no block has any request named {name!r}. {nearest(name, known)}")
    return list(asked)


def _honest(result: Compared, pairs: Sequence[tuple[Block, Block]]) -> Compared:
    """Not decided where the figures of a side say nothing of it."""
    for side, label in enumerate("ab"):
        if why := unsound([pair[side] for pair in pairs], result.endpoint, label):
            return replace(result, outcome="not decided", needed=None, detail=why)
    return result


def unsound(blocks: Sequence[Block], endpoint: str, label: str) -> str:
    """Why the figures of ``blocks``, called ``label``, say nothing of their speed; empty where they do.

    What fails fast would count as an improvement, and the delay of a generator that fell behind its arrivals as theirs.
    """
    if behind := [block.behind for block in blocks if block.behind]:
        return f"the generator of {label} fell behind in {len(behind)} of {len(blocks)} blocks: {behind[0]}"
    failed = sum(block.failed.get(endpoint, 0) for block in blocks)
    attempts = sum(block.attempts(endpoint) for block in blocks)
    if attempts and failed / attempts > _FAILED:
        return f"{label} failed {failed:,} of {attempts:,} requests, so its figures say nothing of its speed"
    return ""
