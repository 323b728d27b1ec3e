"""What a report is made of: a run as plain frozen data, with no trace of the files it was read from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from pytest_enterprise.claims import Answer, ClaimAnswer
from pytest_enterprise.objectives.text import quantity
from pytest_enterprise.report.comparison import Compared
from pytest_enterprise.report.traffic import Recorded


@dataclass(frozen=True, kw_only=True)
class Worst:
    """One of the requests that spoke most against an objective."""

    start_ns: int
    latency: float
    """Seconds."""
    name: str
    error: str
    trace: str = ""
    """Its trace id, where the load kept it."""


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """An objective against what was found in one phase."""

    objective: str
    phase: str
    """``before``, ``during``, ``after`` or ``whole``."""
    fault: str | None
    """The fault's id; None for the whole load and for facts."""
    value: float | None
    limit: float | None
    comparison: str
    """``<=`` or ``>=``."""
    unit: str
    outcome: str
    """``held``, ``broken`` or ``not judged``."""
    samples: int
    detail: str
    interval: tuple[float, float] | None
    """Of 95 % confidence; the upper end may be infinite."""
    worst: tuple[Worst, ...]
    moment_ns: int | None = None
    """CLOCK_MONOTONIC at which what is measured happened: from when on users were served again."""


@dataclass(frozen=True, kw_only=True)
class Moment:
    """A measured moment, to be marked in charts."""

    at_ns: int
    text: str


class Cpu(NamedTuple):
    """CPU used since the sample before, in cores."""

    at_ns: int
    generator: float
    engines: float
    """All of them together."""


@dataclass(frozen=True, kw_only=True)
class Fault:
    """A disturbance and what is known of its effect."""

    id: str
    number: int
    """1 for the first of its test."""
    kind: str
    target: str
    targets: tuple[str, ...]
    """The links or instances that it touched."""
    settings: Mapping[str, Any]
    began_ns: int
    ended_ns: int | None
    """None: it was never seen to end."""
    proof: str
    """``acted``, ``exercised``, ``none`` or ``unproven``; empty when it was never seen to end."""
    acted: bool
    evidence: Mapping[str, Any]

    @property
    def label(self) -> str:
        return f"{self.kind} {self.target}".strip()

    @property
    def seconds(self) -> float | None:
        return None if self.ended_ns is None else (self.ended_ns - self.began_ns) / 1e9


@dataclass(frozen=True, kw_only=True)
class Load:
    """Traffic and what was recorded of it."""

    id: str
    locustfile: str
    users: int | None
    host: str
    link: str
    closed_loop: bool
    seconds: float | None
    """None: it was never seen to end."""
    cpu_seconds: float | None
    """What the generator took."""
    recorded: Recorded
    notes: tuple[str, ...]
    """What was missing or does not fit together."""
    arrivals: str = ""
    """The pattern of an open loop's arrivals."""
    behind: str = ""
    """Why an open loop did not keep to its arrivals; empty when it did."""
    cpu: tuple[Cpu, ...] = ()
    """Over time, where it was sampled."""
    busiest: tuple[tuple[str, float], ...] = ()
    """The engines that took most CPU while it ran, in cores on average, the busiest first."""

    @property
    def loop(self) -> str:
        """``closed loop`` or ``open loop``."""
        return "closed loop" if self.closed_loop else "open loop"


@dataclass(frozen=True, kw_only=True)
class Sabotage:
    """What one sabotaged run of a scenario showed."""

    switch: str
    objective: str
    outcome: str
    """``caught``, ``survived`` or ``wrong``."""
    detail: str


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """One run of one test; a test that ran twice is there twice."""

    test: str
    """pytest's node id."""
    title: str
    line: int | None
    """Where it stands in its file, from 1."""
    suite: str
    is_scenario: bool
    """False for a test that has no claim."""
    claim: str
    controls: tuple[str, ...]
    """Requirements of frameworks that it supports."""
    switch: str
    """The sabotage switch that was on; empty: none."""
    outcome: str
    """pytest's: ``passed``, ``failed``, ``skipped``, ``error``; ``unfinished`` when its end was never seen."""
    seconds: float | None
    message: str
    answer: Answer
    reason: str
    """Why it did not hold; empty when it did."""
    judgements: tuple[Judgement, ...] = ()
    faults: tuple[Fault, ...] = ()
    loads: tuple[Load, ...] = ()
    sabotage: Sabotage | None = None
    strengths: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    """For each of its controls the kind of test and how strongly that supports it."""
    compared: tuple[Compared, ...] = ()
    """What its comparisons of two versions showed."""

    @property
    def verdict(self) -> str:
        """One word for tables: the answer, or for a sabotaged run what the sabotage showed."""
        if self.switch:
            return self.sabotage.outcome if self.sabotage else "not judged"
        return self.answer if self.is_scenario else self.outcome

    @property
    def good(self) -> bool:
        return self.verdict in ("held", "caught", "passed", "skipped")

    @property
    def moments(self) -> tuple[Moment, ...]:
        """The moments that its objectives measured."""
        found = {}
        for judged in self.judgements:
            if judged.moment_ns is not None and judged.value is not None:
                found[judged.moment_ns] = f"served again after {quantity(judged.value, judged.unit)}"
        return tuple(Moment(at_ns=at, text=text) for at, text in sorted(found.items()))

    def fault(self, id: str | None) -> Fault | None:
        """The fault of that id."""
        return next((fault for fault in self.faults if fault.id == id), None)


@dataclass(frozen=True, kw_only=True)
class Engine:
    """An instance of a server, over all its starts."""

    name: str
    kind: str
    runtime: str
    version: str
    starts: int
    ready: tuple[float, ...]
    """Seconds from each start to ready."""
    cpu_seconds: float | None
    failure: str
    """Why it did not come up, with its last log lines; empty when it did."""


@dataclass(frozen=True, kw_only=True)
class Link:
    """A connection through the fault proxy."""

    name: str
    listen: str
    upstream: str
    faults: int
    """How many faults touched it."""


@dataclass(frozen=True, kw_only=True)
class RunReport:
    """A run as its reports tell it."""

    directory: Path
    id: str
    seed: int | None
    commit: str
    clean: bool | None
    """Whether the work tree was; None: unknown."""
    started: str
    """ISO 8601, UTC."""
    finished: str
    """Empty when the run did not end in good order."""
    seconds: float | None
    exit_status: int | None
    command: tuple[str, ...]
    version: str
    python: str
    platform: str
    cpus: int | None
    settings: Mapping[str, Any] = field(default_factory=dict)
    claims: tuple[ClaimAnswer, ...] = ()
    tests: tuple[Scenario, ...] = ()
    engines: tuple[Engine, ...] = ()
    links: tuple[Link, ...] = ()
    notes: tuple[str, ...] = ()
    """What was missing, cut short or could not be read."""

    @property
    def environment(self) -> str:
        """Which environment was tested, as the user states it."""
        return str(self.settings.get("environment") or "not stated")

    @property
    def scenarios(self) -> tuple[Scenario, ...]:
        """The runs of scenarios that were not sabotaged."""
        return tuple(test for test in self.tests if test.is_scenario and not test.switch)

    @property
    def sabotaged(self) -> tuple[Scenario, ...]:
        """The runs of scenarios that were."""
        return tuple(test for test in self.tests if test.switch)

    @property
    def others(self) -> tuple[Scenario, ...]:
        """Tests that prove no claim."""
        return tuple(test for test in self.tests if not test.is_scenario and not test.switch)
