"""Schedules and what became of their slots: the population from which an auditor samples.

A schedule says when runs were to begin, from ``from`` until ``until``: at ``first`` and every ``every_seconds`` after.
A slot ends as

``run``
    a run of its scenarios began within ``grace_seconds`` and ended;
``late``
    one began later, before the next slot;
``aborted``
    one began and never ended, or was interrupted;
``missed``
    none began;
``open``
    it is not over yet.

A run counts where every entry of ``scenarios`` (the beginning of a node id) names at least one test that it ran, with
nothing broken on purpose. A later schedule of the same name replaces the earlier from its registration on.

Part of the single-file verifier: the standard library only.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from pytest_enterprise.evidence.entries import Entry, RunSeen, parse_time, runs
from pytest_enterprise.evidence.notes import Malformed

OUTCOMES = ("run", "late", "missed", "aborted", "open")


class Schedule(NamedTuple):
    """A registered schedule."""

    name: str
    registered: datetime
    place: str
    begins: datetime
    until: datetime
    first: datetime
    every: timedelta
    grace: timedelta
    scenarios: tuple[str, ...]
    controls: Mapping[str, Mapping[str, Any]]
    """Control to ``every_seconds`` (how often it is to be tested) and ``ttl_seconds`` (how long evidence is fresh)."""


class Slot(NamedTuple):
    """One planned run."""

    schedule: str
    start: datetime
    outcome: str
    runs: tuple[str, ...]
    recorded: bool
    """A miss of it stands in the ledger."""
    announced: bool
    """Its schedule was registered before it."""


def schedule_of(entry: Entry) -> Schedule:
    """The schedule in an entry. Raises Malformed that names the field."""
    data = entry.data
    try:
        made = Schedule(
            name=str(data["name"]),
            registered=entry.at,
            place=entry.place,
            begins=parse_time(data["from"]),
            until=parse_time(data["until"]),
            first=parse_time(data["first"]),
            every=timedelta(seconds=data["every_seconds"]),
            grace=timedelta(seconds=data["grace_seconds"]),
            scenarios=tuple(map(str, data["scenarios"])),
            controls=dict(data["controls"]),
        )
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise Malformed(f"a schedule cannot be read: {error}") from None
    if made.every < timedelta(minutes=1) or not timedelta() <= made.grace <= made.every:
        raise Malformed("a schedule's slots are at least a minute apart, and their grace is no longer than that")
    if not made.begins < made.until or (made.until - made.begins) / made.every > 100_000:
        raise Malformed("a schedule's until lies after its from, by 100,000 slots at most")
    return made


def schedules(entries: Sequence[Entry]) -> list[Schedule]:
    """Every schedule that was registered, versions of one name included, in order."""
    return [schedule_of(entry) for entry in entries if entry.kind == "schedule"]


def starts(schedule: Schedule) -> Iterator[datetime]:
    """When its slots begin."""
    behind = max(0, -(-(schedule.begins - schedule.first) // schedule.every))
    at = schedule.first + behind * schedule.every
    while at < schedule.until:
        yield at
        at += schedule.every


def slots(entries: Sequence[Entry], now: datetime) -> list[Slot]:
    """What became of every slot of every schedule until ``now``, in order of time."""
    seen = list(runs(entries).values())
    misses = {(e.data["schedule"], parse_time(e.data["slot"])) for e in entries if e.kind == "missed"}
    plans: dict[str, list[Schedule]] = {}
    for plan in schedules(entries):
        plans.setdefault(plan.name, []).append(plan)
    found = []
    for name, versions in plans.items():
        for number, plan in enumerate(versions):
            later = versions[number + 1].registered if number + 1 < len(versions) else None
            for start in starts(plan):
                if (number and start < plan.registered) or (later and start >= later):
                    continue
                outcome, ids = _outcome(plan, start, seen, now)
                recorded = (name, start) in misses
                found.append(Slot(name, start, outcome, ids, recorded, plan.registered <= start))
    return sorted(found, key=lambda slot: (slot.start, slot.schedule))


def _outcome(plan: Schedule, start: datetime, seen: Sequence[RunSeen], now: datetime) -> tuple[str, tuple[str, ...]]:
    end = start + plan.every
    mine = [run for run in seen if start <= run.began < end and (run.ended is None or covers(plan, run.ended))]
    whole = [run for run in mine if run.ended and not run.aborted]
    if whole:
        first = min(run.began for run in whole)
        return ("run" if first <= start + plan.grace else "late"), tuple(run.id for run in whole)
    if any(run.aborted for run in mine):
        return "aborted", tuple(run.id for run in mine if run.aborted)
    if now < end:
        return "open", ()
    return ("aborted", tuple(run.id for run in mine)) if mine else ("missed", ())


def covers(plan: Schedule, run: Entry) -> bool:
    """Whether a run tested what the schedule asks for."""
    if run.data.get("mode") == "sabotage":
        return False
    if run.data.get("exit_status") not in (0, 1):
        return True  # it was interrupted, and counts as aborted
    tests = (*run.data["passed"], *run.data["warned"], *run.data["failed"])
    return bool(tests) and all(any(test.startswith(wanted) for test in tests) for wanted in plan.scenarios)


def counts(found: Sequence[Slot]) -> str:
    """How many slots ended how, in words."""
    number = Counter(slot.outcome for slot in found)
    return ", ".join(f"{number[outcome]} {outcome}" for outcome in OUTCOMES if number[outcome])
