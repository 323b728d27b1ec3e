"""A run directory, read into a :class:`RunReport`; whatever a crash left is read, and what is missing is said."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pytest_enterprise import claims as claims_module
from pytest_enterprise import events as events_module
from pytest_enterprise.claims import Claim
from pytest_enterprise.errors import EnterpriseError
from pytest_enterprise.events import Event
from pytest_enterprise.report import reading
from pytest_enterprise.report.parts import Engine, Link, RunReport, Scenario

_FORMAT = 1
"""The newest format of run.json that this version knows."""
_POINTS = 4_400
"""Buckets in all charts together: with hundreds of loads each gets fewer, so that the page stays small."""
_NEEDED = {"objective.judged": ("test", "objective", "outcome"), "test.finished": ("test", "outcome")}


def load_run(directory: Path, *, records: bool = True) -> RunReport:
    """The run that left ``directory``. Raises EnterpriseError when there is nothing of a run in it.

    Without ``records`` the requests of its loads are not read: a summary tells verdicts only.
    """
    notes: list[str] = []
    document = _run_json(directory, notes)
    events = _events(directory, notes)
    if not document and not events:
        raise EnterpriseError(
            f"{directory} is not a run directory: it has neither a readable run.json nor events. "
            f"Look in {directory.parent}"
        )
    finished = next((event for event in events if event["kind"] == "run.finished"), None)
    if finished is None:
        last = f"; the last thing seen of it was {events[-1]['kind']} at {events[-1].get('at', '')}" if events else ""
        notes.insert(0, f"This run did not end in good order: it was killed, crashed or still goes on{last}.")
    tests = read_tests(directory, events, records=records)
    return RunReport(
        directory=directory,
        id=str(document.get("run") or directory.resolve().name),
        seed=reading.integer(document.get("seed")),
        commit=str(document.get("commit") or ""),
        clean=document.get("clean") if document.get("commit") and isinstance(document.get("clean"), bool) else None,
        started=str(document.get("started") or (events[0].get("at", "") if events else "")),
        finished=str(document.get("finished") or (finished or {}).get("at", "")) if finished else "",
        seconds=(events[-1]["t"] - events[0]["t"]) / 1e9 if len(events) > 1 else None,
        exit_status=reading.integer((finished or {}).get("exit_status")),
        command=tuple(map(str, document.get("command") or ())),
        version=str(document.get("version") or "unknown"),
        python=str(document.get("python") or "unknown"),
        platform=str(document.get("platform") or "unknown"),
        cpus=reading.integer(document.get("cpus")),
        settings=reading.mapping(document.get("settings")),
        claims=tuple(claims_module.answer(_claims(document, notes), events)),
        tests=tests,
        engines=_engines(events),
        links=_links(events, tests),
        notes=tuple(notes),
    )


def read_tests(directory: Path, events: Sequence[Event], *, records: bool = True) -> tuple[Scenario, ...]:
    """Each run of each test in the order in which they began; loads are read from ``directory`` where asked."""
    attempts: list[list[Event]] = []
    running: dict[tuple[str, Any], list[Event]] = {}
    for event in events:
        key = (str(event.get("test")), event.get("pid"))
        if event["kind"] == "test.started":
            running[key] = [event]
            attempts.append(running[key])
        elif key in running:
            running[key].append(event)
    loads = sum(event["kind"] == "load.started" for event in events)
    buckets = max(20, min(150, _POINTS // max(loads, 1))) if records else 0
    return tuple(reading.scenario(directory, attempt, buckets) for attempt in attempts)


def _run_json(directory: Path, notes: list[str]) -> Mapping[str, Any]:
    path = directory / "run.json"
    try:
        document = json.loads(path.read_text(encoding="utf-8", errors="replace"))
    except OSError as error:
        notes.append(f"run.json cannot be read ({error.strerror}): seed, commit and claims are unknown.")
        return {}
    except ValueError:
        notes.append("run.json is not whole: seed, commit and claims are unknown.")
        return {}
    if not isinstance(document, dict):
        notes.append("run.json holds something else than a run: seed, commit and claims are unknown.")
        return {}
    form = document.get("format")
    if isinstance(form, int) and form > _FORMAT:
        notes.append(f"run.json is of format {form}, this version knows {_FORMAT}: something may be missing here.")
    return document


def _events(directory: Path, notes: list[str]) -> list[Event]:
    merged = directory / "events.jsonl"
    files = [merged] if merged.exists() else sorted((directory / "events").glob("*.jsonl"))
    if not files:
        notes.append("There are no events: what happened is unknown.")
    found = events_module.read(directory)
    lines = 0
    for file in files:
        text = file.read_bytes()
        lines += text.count(b"\n") + (not text.endswith(b"\n") and bool(text))
    if lines > len(found):
        notes.append(f"{lines - len(found):,} of {lines:,} lines of events cannot be read and are left out.")
    whole = [event for event in found if usable(event)]
    if len(whole) < len(found):
        notes.append(f"{len(found) - len(whole):,} events lack what they must hold and are left out.")
    return whole


def usable(event: Event) -> bool:
    """Whether an event holds what those that read it count on."""
    return (
        isinstance(event["t"], int)
        and isinstance(event["kind"], str)
        and isinstance(event.get("pid"), int | str | None)
        and all(isinstance(event.get(field), str) for field in _NEEDED.get(event["kind"], ()))
    )


def _claims(document: Mapping[str, Any], notes: list[str]) -> list[Claim]:
    found = []
    unreadable = 0
    for entry in document.get("claims") or ():
        if not isinstance(entry, dict) or not entry.get("id"):
            unreadable += 1
            continue
        found.append(
            Claim(
                id=str(entry["id"]),
                text=str(entry.get("text", "")),
                source=str(entry.get("source") or ""),
                controls=reading.texts(entry.get("controls")),
                scenarios=reading.texts(entry.get("scenarios")),
            )
        )
    if unreadable:
        notes.append(f"{unreadable} claims in run.json cannot be read.")
    return found


def _engines(events: Sequence[Event]) -> tuple[Engine, ...]:
    seen: dict[str, list[Event]] = {}
    for event in events:
        if event["kind"].startswith("engine."):
            seen.setdefault(str(event.get("engine")), []).append(event)
    engines = []
    for name, mine in seen.items():
        told = {key: str(value) for event in mine for key, value in event.items() if value not in (None, "")}
        failed = [event for event in mine if event["kind"] == "engine.failed"]
        cpu = [reading.number(event.get("cpu_seconds")) for event in mine if event["kind"] == "engine.stopped"]
        ready = [reading.number(event.get("seconds")) for event in mine if event["kind"] == "engine.ready"]
        engines.append(
            Engine(
                name=name,
                kind=told.get("kind_of_engine", ""),
                runtime=told.get("runtime", ""),
                version=told.get("version", "unknown"),
                starts=sum(event["kind"] == "engine.starting" for event in mine),
                ready=tuple(seconds for seconds in ready if seconds is not None),
                cpu_seconds=math.fsum(seconds for seconds in cpu if seconds is not None) if cpu else None,
                failure="\n".join([str(failed[-1].get("reason", "")), *reading.texts(failed[-1].get("log"))])
                if failed
                else "",
            )
        )
    return tuple(engines)


def _links(events: Sequence[Event], tests: Sequence[Scenario]) -> tuple[Link, ...]:
    faults = [fault for test in tests for fault in test.faults]
    opened = {str(event.get("link")): event for event in events if event["kind"] == "link.opened"}
    return tuple(
        Link(
            name=name,
            listen=str(event.get("listen", "")),
            upstream=str(event.get("upstream", "")),
            faults=sum(name in fault.targets for fault in faults),
        )
        for name, event in opened.items()
    )
