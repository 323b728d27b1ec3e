"""The ``objectives`` fixture: judges what the loads of a test recorded, and fails the test where it does not hold."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from pytest_enterprise.errors import ConfigurationError
from pytest_enterprise.load.records import Request
from pytest_enterprise.objectives.base import Objective, Verdict
from pytest_enterprise.objectives.judge import judge
from pytest_enterprise.objectives.message import explain
from pytest_enterprise.objectives.phases import Window
from pytest_enterprise.objectives.written import read

if TYPE_CHECKING:
    from pytest_enterprise.load.columns import Columns


@runtime_checkable
class Traffic(Protocol):
    """What a load offers to be judged."""

    @property
    def started(self) -> int:
        """CLOCK_MONOTONIC in ns; 0 when it has not begun."""

    @property
    def stopped(self) -> int:
        """CLOCK_MONOTONIC in ns; 0 while it runs."""

    def records(self) -> Sequence[Request]:
        """Every request."""


class _Kind(Protocol):
    @property
    def kind(self) -> str: ...
    @property
    def target(self) -> str: ...
    @property
    def settings(self) -> Mapping[str, Any]: ...


class Disturbance(Protocol):
    """What an application of a fault tells of itself: see ``faults.session.ActiveFault``."""

    @property
    def id(self) -> str: ...
    @property
    def fault(self) -> _Kind: ...
    @property
    def began_ns(self) -> int | None: ...
    @property
    def ended_ns(self) -> int | None: ...


_STOPPING = 2_500_000_000
"""The time, in ns, that users get to end their last request, with some to spare."""


class ObjectiveBroken(AssertionError):
    """An objective did not hold; the message tells what users felt. ``verdicts`` are all those that did not hold."""

    def __init__(self, message: str, verdicts: Sequence[Verdict]) -> None:
        super().__init__(message)
        self.verdicts = tuple(verdicts)


class ObjectiveNotJudged(ObjectiveBroken):
    """None was broken, but one or more could not be judged, which proves nothing; the message says what was missing."""


class Objectives:
    """Judges the objectives of one test.

    ``emit`` takes an event's kind and fields; ``test`` is the test's node id; ``seed`` the run's; below ``root`` (None:
    the working directory) lie the files that objectives are written in; ``again`` is the command that runs the test
    again (None: pytest with the test's node id and the seed).
    """

    def __init__(
        self,
        emit: Callable[..., Any],
        test: str,
        *,
        seed: int | None = None,
        root: Path | None = None,
        again: str | None = None,
    ) -> None:
        self.verdicts: list[Verdict] = []
        """Everything judged so far, in order."""
        self._emit = emit
        self._test = test
        self._seed = seed
        self._root = root
        seeded = "" if seed is None else f" --enterprise-seed={seed}"
        self._again = again or f"pytest {shlex.quote(test)}{seeded}"
        self._loads: list[Traffic] = []
        self._faults: list[Window | Disturbance] = []

    def watch(self, *things: Traffic | Window | Disturbance) -> None:
        """Judge these loads and faults in every later :meth:`check` that names none."""
        for thing in things:
            if isinstance(thing, Traffic):
                self._loads.append(thing)
            elif hasattr(thing, "began_ns"):
                self._faults.append(thing)
            else:
                raise ConfigurationError(f"objectives.watch: {thing!r} is neither a load nor a fault")

    def check(
        self,
        *objectives: Objective | str,
        load: Traffic | Sequence[Traffic] | None = None,
        faults: Sequence[Window | Disturbance] | None = None,
    ) -> list[Verdict]:
        """Judge all of them, record every verdict, then raise if one did not hold.

        An objective that is a text is the name of a group in pyproject.toml, or the path of an OpenSLO document (see
        :mod:`pytest_enterprise.objectives.written`).
        ``load`` and ``faults`` are those to judge by; without them, those watched. Returns the verdicts. Raises
        ObjectiveBroken, ObjectiveNotJudged; ConfigurationError for what cannot be judged at all.
        """
        __tracebackhide__ = True  # pytest then shows the test's own line
        if not objectives:
            raise ConfigurationError("objectives.check() was given no objective, so it would prove nothing")
        root = self._root or Path.cwd()
        chosen = [one for given in objectives for one in (read(given, root) if isinstance(given, str) else (given,))]
        loads = self._loads if load is None else list(load) if isinstance(load, Sequence) else [load]
        windows = [_window(fault) for fault in (self._faults if faults is None else faults)]
        around = [_window(fault) for fault in self._faults if fault.began_ns is not None]
        by_request = [objective for objective in chosen if objective.measured]
        if by_request and not loads:
            raise ConfigurationError(f"{by_request[0].name}: there is no load to judge it by; give load=...")
        requests, span = _recorded(loads)
        noted = _noted(loads) if any(objective.by_notes for objective in chosen) else []
        found = _traced(judge(chosen, requests, windows, span=span, around=around, operations=noted), loads)
        self._refuse_repetition(found)
        found = _believed(found, {objective.name for objective in by_request}, loads)
        for verdict in found:
            self.verdicts.append(verdict)
            self._emit("objective.judged", **verdict.event(self._test))
        bad = [verdict for verdict in found if verdict.outcome != "held"]
        if bad:
            began = span[0] if span else None
            message = explain(bad, windows, began, total=len(found), seed=self._seed, again=self._again)
            broken = any(verdict.outcome == "broken" for verdict in bad)
            raise (ObjectiveBroken if broken else ObjectiveNotJudged)(message, bad)
        return found

    def _refuse_repetition(self, found: Sequence[Verdict]) -> None:
        seen = {(v.objective, v.phase, v.fault) for v in self.verdicts}
        for verdict in found:
            key = (verdict.objective, verdict.phase, verdict.fault)
            if key in seen:
                raise ConfigurationError(
                    f"two objectives of this test are both named {verdict.objective!r} and concern the same time: "
                    "give one of them another name=..."
                )
            seen.add(key)


def _window(fault: Window | Disturbance) -> Window:
    if isinstance(fault, Window):
        return fault
    if fault.began_ns is None:
        raise ConfigurationError(
            f"{fault.fault.kind} on {fault.fault.target} never began, so there is no time to judge: use it in a with "
            "block or call begin()"
        )
    # An application of a fault that somebody else made need not tell its settings.
    settings: Mapping[str, Any] = getattr(fault.fault, "settings", {})
    told = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in settings.items() if value)
    return Window(fault.id, fault.fault.kind, fault.fault.target, fault.began_ns, fault.ended_ns, told)


def _traced(verdicts: Sequence[Verdict], loads: Sequence[Traffic]) -> list[Verdict]:
    """With the trace ids of their worst requests, where a load kept those of what was unexpected and of the slowest."""
    if not any(verdict.worst for verdict in verdicts):
        return list(verdicts)
    known = {
        (entry["start"], entry["name"]): str(entry["trace_id"])
        for load in loads
        for kept in ("unexpected", "slowest")
        if hasattr(load, kept)
        for entry in getattr(load, kept)()
        if entry.get("trace_id")
    }
    traces = [tuple(known.get((worst.start, worst.name), "") for worst in verdict.worst) for verdict in verdicts]
    return [v._replace(traces=found) if any(found) else v for v, found in zip(verdicts, traces, strict=True)]


def _noted(loads: Sequence[Traffic]) -> list[Mapping[str, Any]]:
    """What the users of all loads noted; a load that keeps no such notes has none."""
    return [entry for load in loads if hasattr(load, "operations") for entry in load.operations()]


def _believed(found: Sequence[Verdict], by_request: set[str], loads: Sequence[Traffic]) -> list[Verdict]:
    """The verdicts, none of them by a load whose generator fell behind its arrivals: that is not what users did."""
    behind = "; ".join(why for load in loads if (why := getattr(load, "behind", "")))
    if not behind:
        return list(found)
    detail = f"generator behind, {behind}: give it more CPU or a higher limit, or ask for fewer arrivals"
    return [
        verdict._replace(outcome="not judged", detail=detail) if verdict.objective in by_request else verdict
        for verdict in found
    ]


def _recorded(loads: Sequence[Traffic]) -> tuple[Sequence[Request], tuple[int, int] | None]:
    """All requests, and the time in which users made them."""
    if not loads:
        return [], None  # facts alone need no NumPy
    from pytest_enterprise.load.columns import Columns

    parts, spans = [], []
    for load in loads:
        made = Columns.of(load.records())
        if len(made):
            parts.append(made)
            began = int(made.start.min())
            spans.append((min(load.started or began, began), _last(made, load.stopped)))
    if not spans:
        return [], None
    return Columns.joined(parts), (min(began for began, _ in spans), max(ended for _, ended in spans))


def _last(requests: Columns, stopped: int) -> int:
    """When users were told to stop: from then on fewer and fewer are left, which is no silence of the system.

    Users make requests until they are told to, so it is where the last one started, but no longer before the end of the
    load than stopping takes: users who all hang start nothing.
    """
    if not stopped:
        return int(requests.end.max())
    return max(int(requests.start.max()), stopped - _STOPPING)
