"""The ``scalability`` fixture: stepped load to the knee, the limit at which objectives hold, and what a request costs.

It makes no traffic itself: it takes a callable ``run_at(load)`` that runs some seconds of load with so many users, or
at such a rate, and returns the load when it has ended.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pytest_enterprise.errors import ConfigurationError
from pytest_enterprise.load.blocks import traffic_block
from pytest_enterprise.objectives.base import Objective, Verdict
from pytest_enterprise.objectives.judge import judge
from pytest_enterprise.objectives.metrics import ALL, named
from pytest_enterprise.objectives.scalability import Fit, Limit, Step, fit, search

RunAt = Callable[[float], Any]


@dataclass(frozen=True, kw_only=True)
class Measured:
    """One step: a load and what came of it."""

    load: float
    throughput: float
    """Requests that succeeded, per second."""
    failed: float
    """The share of requests that failed."""
    p99: float | None
    """Seconds, of those that succeeded; None where none did."""
    cost: Mapping[str, float]
    """CPU seconds per request that succeeded, by engine; empty where nobody looked."""


@dataclass(frozen=True, kw_only=True)
class Capacity:
    """The limit that a search found, and why it is one."""

    limit: Limit
    steps: tuple[Measured, ...]
    """What each trial showed, in their order."""
    broken: tuple[Verdict, ...]
    """What did not hold at the lowest load that was seen to break."""
    behind: str = ""
    """Why the generator fell behind its arrivals there: then the limit is its own, and the system's may be higher."""

    @property
    def rate(self) -> float:
        """The highest load at which all objectives held, twice; 0 where not even the lowest did."""
        return self.limit.holds or 0.0


class Scalability:
    """Runs load step by step. ``cpu`` tells the CPU seconds of instances so far (``stack.cpu_seconds``)."""

    def __init__(self, *, seed: int = 0, test: str = "", emit: Callable[..., Any] | None = None) -> None:
        self._seed = seed
        self._test = test
        self._emit = emit or (lambda *_, **__: None)

    def steps(
        self, run_at: RunAt, loads: Sequence[float], *, cpu: Callable[[], Mapping[str, float]] | None = None
    ) -> list[Measured]:
        """Each of ``loads`` in turn."""
        return [self._step(run_at, load, cpu)[0] for load in loads]

    def fit(self, steps: Sequence[Measured]) -> Fit:
        """The Universal Scalability Law of measured steps, with intervals, knee and peak."""
        found = fit([Step(step.load, step.throughput) for step in steps], seed=self._seed)
        self._emit(
            "capacity.fitted",
            test=self._test,
            rate=found.law.rate,
            contention=found.law.contention,
            coherency=found.law.coherency,
            knee=found.law.knee,
            peak=found.law.peak,
            error=found.error,
        )
        return found

    def limit(
        self,
        run_at: RunAt,
        *objectives: Objective,
        low: float,
        high: float,
        within: float = 0.05,
        cpu: Callable[[], Mapping[str, float]] | None = None,
    ) -> Capacity:
        """The highest load between ``low`` and ``high`` at which all ``objectives`` hold, confirmed.

        Objectives are of ``phase="whole"``. A load at which the generator falls behind its arrivals counts as one that
        does not hold, and the result says so. Raises ConfigurationError where one cannot be judged: then the trials are
        too short for it.
        """
        if not objectives:
            raise ConfigurationError("limit: give objectives that the load has to hold, so that there is a limit")
        for one in objectives:
            if one.phase != "whole":
                raise ConfigurationError(f"{one.name}: phase={one.phase!r}; a limit has no fault, give phase='whole'")
        steps: list[Measured] = []
        broken: dict[float, tuple[Verdict, ...]] = {}
        behind: dict[float, str] = {}

        def holds(load: float) -> bool:
            step, traffic = self._step(run_at, load, cpu)
            steps.append(step)
            span = (traffic.started, traffic.stopped) if traffic.started and traffic.stopped else None
            behind[load] = str(getattr(traffic, "behind", ""))
            if behind[load]:  # what such a load shows, good or bad, is not what users did
                return False
            verdicts = judge(objectives, traffic.records(), [], span=span)
            bad = tuple(verdict for verdict in verdicts if verdict.outcome == "broken")
            open_ones = [verdict for verdict in verdicts if verdict.outcome == "not judged"]
            if open_ones and not bad:
                raise ConfigurationError(f"limit at load {load:g}: {open_ones[0].objective}: {open_ones[0].detail}")
            if bad:
                broken[load] = bad
            return not bad

        found = search(holds, low, high, within=within)
        lowest = found.breaks or 0.0
        self._emit(
            "capacity.judged",
            test=self._test,
            holds=found.holds,
            breaks=found.breaks,
            trials=found.trials,
            broken=[verdict.objective for verdict in broken.get(lowest, ())],
            behind=behind.get(lowest, ""),
        )
        return Capacity(limit=found, steps=tuple(steps), broken=broken.get(lowest, ()), behind=behind.get(lowest, ""))

    def _step(self, run_at: RunAt, load: float, cpu: Callable[[], Mapping[str, float]] | None) -> tuple[Measured, Any]:
        before = cpu() if cpu else {}
        traffic = run_at(load)
        after = cpu() if cpu else {}
        block = traffic_block(traffic)
        done, attempts = len(block.samples[ALL]), block.attempts(ALL)
        measured = Measured(
            load=load,
            throughput=named("throughput").value(block) or 0.0,
            failed=block.failed[ALL] / attempts if attempts else 0.0,
            p99=named("p99").value(block),
            cost={name: (after[name] - before.get(name, 0.0)) / done for name in after} if done else {},
        )
        self._emit(
            "capacity.step",
            test=self._test,
            load=load,
            throughput=measured.throughput,
            failed=measured.failed,
            p99=measured.p99,
            cost=measured.cost,
        )
        return measured, traffic
