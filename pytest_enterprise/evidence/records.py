"""``evidence/evidence.jsonl``: one record per scenario test of a run, from which every other document is made.

Each line is one JSON object in canonical form (keys sorted, no spaces, ASCII, no NaN; see :mod:`.canonical`). The
first line is of kind ``run``; then one line for each scenario test in the order in which they began. Times are RFC 3339
in UTC with milliseconds, empty where they are not known; a number that is not finite is null.

``run``
    ``format`` (``pytest-enterprise/evidence/1``), ``run`` (its id), ``began``, ``ended`` (empty: it did not end in good
    order), ``outcome`` (``finished`` or ``aborted``), ``exit_status``, ``commit``, ``clean`` (whether the work tree
    was; null: unknown), ``seed``, ``command``, ``environment`` (``name`` as ``--enterprise-environment`` states it,
    ``platform``, ``python``, ``cpus``, ``runtime``), ``version`` (of pytest-enterprise), ``engines`` (``name``,
    ``kind``, ``runtime``, ``version``, ``program``, ``sha256`` of the program or null, ``image``, ``image_digest`` or
    null), ``frameworks`` (``id``, ``title``, ``version``, ``sha256`` of its file, ``overlay``: that of the texts put
    over it, or empty), ``exceptions`` (all of exceptions.toml, each with ``expired``), ``counts`` (outcome: number),
    ``artefacts`` (``path`` below the run directory, ``sha256``, ``size``), ``sbom`` (such an artefact or null),
    ``oscal_version``, ``notes`` (what was missing or could not be read).

``scenario``
    ``run``, ``node_id``, ``title``, ``suite``, ``claim`` (``id``, ``text``, ``source``, or null), ``controls`` (``id``,
    ``kind`` of test, ``strength``: ``direct``, ``partial`` or ``contextual``), ``outcome``, ``reason``, ``began``,
    ``ended``, ``seconds``, ``seed``, ``attempts`` (``number``, ``outcome``, ``pytest`` outcome, ``reason``, ``began``,
    ``ended``), ``flaky`` (its attempts differ), ``measurements`` (``attempt``, ``objective``, ``phase``, ``fault``,
    ``value``, ``unit``, ``comparison``, ``limit``, ``interval`` of 95 % or null, ``samples``, ``outcome``: ``held``,
    ``broken`` or ``not-judged``, ``detail``), ``faults`` (``attempt``, ``id``, ``kind``, ``target``, ``targets``,
    ``settings``, ``seconds``, ``proof``, ``acted``, ``evidence``), ``loads`` (``attempt``, ``id``, ``loop``: ``open``
    or ``closed``, ``users``, ``arrivals``, ``rate`` in requests per second, ``requests``, ``failures``, ``seconds``,
    ``source``, ``host``, ``link``, ``behind``), ``waiver`` (the exception that applies, or null), ``again`` (the
    command that runs it again), ``artefacts``.

``sabotage``
    The same fields and ``switch``, ``objective``: a scenario that was broken on purpose. It supports no control
    (``controls`` is empty); its outcome is ``caught``, ``survived``, ``wrong`` or ``not-judged``.

The outcome of a scenario is that of its worst attempt, so that a pass after a retry stays what it was: ``broken``,
``error``, ``unfinished``, ``not-judged``, ``skipped``, ``held``. A waiver changes no outcome.
"""

from __future__ import annotations

import bisect
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from pytest_enterprise import events as events_module
from pytest_enterprise.errors import EnterpriseError
from pytest_enterprise.events import Event
from pytest_enterprise.evidence import attempts, canonical, capture, exceptions, sbom
from pytest_enterprise.evidence.attempts import Record
from pytest_enterprise.report import reading, words
from pytest_enterprise.report.model import usable
from pytest_enterprise.report.parts import Scenario

FORMAT = "pytest-enterprise/evidence/1"
NAME = "evidence.jsonl"


class Evidence(NamedTuple):
    """What ``evidence.jsonl`` of a run says."""

    path: Path
    run: Record

    def scenarios(self) -> Iterator[Record]:
        """The records of scenarios and sabotages one by one."""
        with self.path.open(encoding="utf-8") as file:
            next(file)
            for line in file:
                yield json.loads(line)


def read(path: Path) -> Evidence:
    """A file as :func:`write` left it. Raises EnterpriseError when its first line is no record of a run."""
    try:
        with path.open(encoding="utf-8") as file:
            run = json.loads(next(file, ""))
    except (OSError, ValueError, RecursionError) as error:
        raise EnterpriseError(f"{path} cannot be read: {error}") from None
    if not isinstance(run, dict) or run.get("kind") != "run" or run.get("format") != FORMAT:
        raise EnterpriseError(f"{path}: its first line is no record of a run in the format {FORMAT!r}")
    return Evidence(path, run)


def write(directory: Path) -> Evidence:
    """Make ``evidence/evidence.jsonl`` from a run directory alone: the same bytes, whenever and wherever.

    Raises EnterpriseError when there is nothing of a run in it.
    """
    made = _Maker(directory)
    path = directory / "evidence" / NAME
    run, lines = made.run_and_lines()
    canonical.write(path, (text for line in (canonical.line(run), *lines) for text in (line, "\n")))
    return Evidence(path, run)


class _Maker:
    """Reads one run directory."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.notes: list[str] = []
        try:
            document = json.loads((directory / "run.json").read_text(encoding="utf-8", errors="replace"))
        except (OSError, ValueError):
            document = None
            self.notes.append("run.json cannot be read: seed, commit, claims and exceptions are unknown")
        self.document: Mapping[str, Any] = canonical.clean(document) if isinstance(document, dict) else {}
        self.told = reading.mapping(self.document.get("evidence"))
        self.id = str(self.document.get("run") or directory.resolve().name)
        self.settings = reading.mapping(self.document.get("settings"))
        self.seed = reading.integer(self.document.get("seed"))
        self.began = str(self.document.get("started") or "")
        self.exceptions = [
            {key: one[key] for key in exceptions.FIELDS if key in one and isinstance(one[key], str)}
            for one in _mappings(self.told.get("exceptions"))
            if all(isinstance(one.get(key), str) for key in exceptions.NEEDED)
        ]
        self.claims = {str(claim["id"]): claim for claim in _mappings(self.document.get("claims")) if claim.get("id")}
        folder = directory / "load"
        self.loads = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
        self.unknown: set[str] = set()
        self.outcomes: dict[str, str] = {}
        self.known = capture.own_frameworks(directory)

    def run_and_lines(self) -> tuple[Record, list[str]]:
        made, first, last, finished = self._attempts()
        if not self.document and not first:
            raise EnterpriseError(
                f"{self.directory} is not a run directory: it has neither a readable run.json nor events. "
                f"Look in {self.directory.parent}"
            )
        lines = list(made.values())
        if finished is None:
            self.notes.insert(
                0, f"the run did not end in good order; the last thing seen of it was {last or 'nothing'}"
            )
        return self._run(first, finished), lines

    def _attempts(self) -> tuple[dict[str, str], Event, str, Event | None]:
        """For each test its record as text, which takes little memory; the first event, the last, and the end."""
        first: Event = {}
        finished: Event | None = None
        last = ""
        running: dict[tuple[str, Any], list[Event]] = {}
        made: dict[str, str] = {}
        lacking = 0
        for event in events_module.stream(self.directory):
            if not usable(event):
                lacking += 1
                continue
            first = first or event
            kind, test = event["kind"], event.get("test")
            last = f"{kind} at {event.get('at', '')}"
            if kind == "run.finished":
                finished = event
            if not isinstance(test, str):
                continue
            key = (test, str(event.get("pid")))
            if kind == "test.started":
                self._end(running.pop(key, None), made)
                running[key] = [event]
                made.setdefault(test, "")  # in the order in which they began
            elif key in running:
                running[key].append(event)
                if kind == "test.finished":
                    self._end(running.pop(key), made)
        for events in running.values():
            self._end(events, made)
        if lacking:
            self.notes.append(f"{lacking} events lack what they must hold and are left out")
        return {test: text for test, text in made.items() if text}, first, last, finished

    def _end(self, events: list[Event] | None, made: dict[str, str]) -> None:
        """Make the record of an attempt that has ended, and join it with that of earlier ones."""
        if not events:
            return
        test = str(events[0]["test"])
        try:
            scenario = reading.scenario(self.directory, events, 0)
        except (KeyError, TypeError, ValueError) as error:
            self.notes.append(f"events of {test} cannot be read: {error!r}")
            return
        if not (scenario.is_scenario or scenario.switch or scenario.controls):
            return
        record = self._attempt(scenario, events)
        if made[test]:
            record = attempts.joined(json.loads(made[test]), record)
        self._waive(record)
        self.outcomes[test] = record["outcome"]
        made[test] = canonical.clean_line(record)

    def _attempt(self, scenario: Scenario, events: Sequence[Event]) -> Record:
        """The record of a test that was tried once."""
        started = events[0]
        ended = events[-1] if events[-1]["kind"] == "test.finished" else {}
        claim = self.claims.get(scenario.claim, {})
        came_to = attempts.outcome(scenario)
        reason = scenario.reason or (scenario.message if scenario.outcome not in ("passed", "skipped") else "")
        if scenario.sabotage:
            reason = scenario.sabotage.detail
        times = {"began": attempts.time_of(started.get("at")), "ended": attempts.time_of(ended.get("at"))}
        loads = [event for event in events if event["kind"] == "load.started"]
        record: Record = {
            "kind": "sabotage" if scenario.switch else "scenario",
            "run": self.id,
            "node_id": scenario.test,
            "title": scenario.title,
            "suite": scenario.suite,
            "claim": {key: str(claim.get(key) or "") for key in ("text", "source")} | {"id": scenario.claim}
            if scenario.claim
            else None,
            "controls": [] if scenario.switch else self._controls(scenario),
            "outcome": came_to,
            "reason": reason,
            **times,
            "seconds": scenario.seconds,
            "seed": self.seed,
            "attempts": [{"number": 1, "outcome": came_to, "pytest": scenario.outcome, "reason": reason, **times}],
            "flaky": False,
            "measurements": [attempts.measurement(judged) for judged in scenario.judgements],
            "faults": [attempts.fault(one) for one in scenario.faults],
            "loads": [attempts.load(event, events) for event in loads],
            "again": words.command(scenario.test, self.seed, self.settings),
            "artefacts": [artefact for event in loads for artefact in self._files(event)],
        }
        if scenario.switch:
            record["switch"] = scenario.switch
            record["objective"] = scenario.sabotage.objective if scenario.sabotage else ""
        return record

    def _waive(self, record: Record) -> None:
        claim = (record["claim"] or {}).get("id", "")
        failed = record["outcome"] in attempts.FAILED
        record["waiver"] = exceptions.waiver(self.exceptions, record["node_id"], claim, self.began) if failed else None

    def _controls(self, scenario: Scenario) -> list[Record]:
        """The controls with kind and strength as the session found them; of an older run, as they are found now."""
        found = []
        for id in dict.fromkeys(scenario.controls):
            pair = scenario.strengths.get(id)
            if pair is None:
                try:
                    pair = self.known.check(id, kind=None, suite=scenario.suite, where=scenario.test)
                except EnterpriseError as error:
                    if id not in self.unknown:
                        self.unknown.add(id)
                        self.notes.append(f"control left out: {error}")
                    continue
            found.append({"id": id, "kind": pair[0], "strength": pair[1]})
        return found

    def _files(self, started: Event) -> Iterator[Record]:
        """The record files of a load."""
        name = str(started.get("file") or "").removeprefix("load/") + "."
        at = bisect.bisect_left(self.loads, name)
        while at < len(self.loads) and self.loads[at].startswith(name) and name != ".":
            path = self.directory / "load" / self.loads[at]
            if path.is_file() and not path.is_symlink():
                yield canonical.artefact(self.directory, path)
            at += 1

    def _run(self, first: Event, finished: Event | None) -> Record:
        document = self.document
        bill = self.directory / "evidence" / sbom.NAME
        frameworks = _mappings(self.told.get("frameworks"))
        if "frameworks" not in self.told:  # of a run that did not end
            frameworks = capture.used_frameworks(self.directory, events_module.stream(self.directory))
        day = self.began or str(first.get("at") or "")
        began = attempts.time_of(first.get("at")) or attempts.time_of(document.get("started"))
        ended = (attempts.time_of(finished.get("at")) or attempts.time_of(document.get("finished"))) if finished else ""
        if ended and ended < began:
            self.notes.append("the clock was set back while the run went on: its end is before its beginning")
        record: Record = {
            "kind": "run",
            "format": FORMAT,
            "run": self.id,
            "began": began,
            "ended": ended,
            "outcome": "finished" if finished else "aborted",
            "exit_status": reading.integer((finished or {}).get("exit_status")),
            "commit": str(document.get("commit") or ""),
            "clean": document.get("clean")
            if document.get("commit") and isinstance(document.get("clean"), bool)
            else None,
            "seed": self.seed,
            "command": list(reading.texts(document.get("command"))),
            "version": str(document.get("version") or "unknown"),
            "environment": {
                "name": str(self.told.get("environment") or "not stated"),
                "platform": str(document.get("platform") or "unknown"),
                "python": str(document.get("python") or "unknown"),
                "cpus": reading.integer(document.get("cpus")),
                "runtime": str(self.settings.get("runtime") or ""),
            },
            "engines": [
                {key: _text_or_none(one.get(key)) for key in capture.OF_ENGINE}
                | {key: str(one.get(key) or "") for key in ("name", "kind", "runtime", "version", "program")}
                for one in _mappings(self.told.get("engines"))
            ],
            "frameworks": frameworks,
            "exceptions": [{**e, "expired": exceptions.expired(e, day)} for e in self.exceptions],
            "counts": dict(Counter(self.outcomes.values())),
            "artefacts": [canonical.artefact(self.directory, path) for path in self._kept()],
            "sbom": canonical.artefact(self.directory, bill) if bill.is_file() else None,
            "oscal_version": str(self.told.get("oscal_version") or "1.1.2"),
            "notes": self.notes,
        }
        cleaned: Record = canonical.clean(record)
        return cleaned

    def _kept(self) -> Iterator[Path]:
        """Files of the run as a whole that evidence refers to."""
        found = [*self.directory.glob("events.jsonl"), *self.directory.glob(f"{capture.FOLDER}/*.toml")]
        found += [*self.directory.glob("engines/*/log"), *self.directory.glob("engines/*/*/log")]
        yield from (path for path in sorted(found) if path.is_file() and not path.is_symlink())


def _mappings(value: Any) -> list[dict[str, Any]]:
    return [entry for entry in value if isinstance(entry, dict)] if isinstance(value, list) else []


def _text_or_none(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None
