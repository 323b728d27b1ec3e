"""What evidence a period has: slots, controls by day, gaps, stale evidence, changes, exceptions and trends.

It never says that a control is met: scenarios support controls, with a strength, and an auditor concludes.
"""

from __future__ import annotations

import itertools
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from pytest_enterprise.errors import ConfigurationError, cannot_write
from pytest_enterprise.evidence import history as runs_of_ledger
from pytest_enterprise.evidence.changes import Change, changes, exception_name
from pytest_enterprise.evidence.checks import key_fingerprint, read_ledger
from pytest_enterprise.evidence.entries import ENTRIES, Entry, format_time, parse_time, runs
from pytest_enterprise.evidence.history import Record, Recorded
from pytest_enterprise.evidence.period import Schedule, Slot, covers, schedules, slots
from pytest_enterprise.evidence.records_check import BROKEN
from pytest_enterprise.evidence.trends import Trend, trends

FORMAT = "pytest-enterprise/coverage/1"
STRENGTHS = ("direct", "partial", "contextual")
_RANK = ("none", "not judged", "held", "waived", "broken")
"""Of several scenarios of one day the last of these counts."""


@dataclass(frozen=True, kw_only=True)
class Stretch:
    """A part of the period."""

    begins: datetime
    ends: datetime

    @property
    def length(self) -> timedelta:
        return self.ends - self.begins


@dataclass(frozen=True, kw_only=True)
class Control:
    """What the period has for one control."""

    id: str
    strength: str
    """The strongest of its scenarios; empty where it has none."""
    scenarios: tuple[str, ...]
    days: Mapping[str, str]
    """Date to ``held``, ``waived``, ``broken``, ``not judged`` or ``none``."""
    every: timedelta | None
    """How often it is to be tested."""
    ttl: timedelta | None
    """How long evidence is fresh."""
    longest_gap: Stretch
    """Between two tests, or a test and an end of the period."""
    late: bool
    """The longest gap is longer than ``every``, and more than a slot's grace."""
    last_held: datetime | None
    stale: tuple[Stretch, ...]
    """When the newest evidence that held was older than ``ttl``."""


@dataclass(frozen=True, kw_only=True)
class Accepted:
    """An exception that was in force, or in use, during the period."""

    name: str
    owner: str
    reason: str
    approver: str
    expires: str
    seen: Stretch
    """From the first to the last run that had it."""
    waived: tuple[str, ...]
    """Runs in which it applied to a failure."""
    expired_in: tuple[str, ...]
    """Runs that had it after it had expired; those failed."""


@dataclass(frozen=True, kw_only=True)
class Coverage:
    """Everything that the report of a period says."""

    period: Stretch
    now: datetime
    environments: tuple[str, ...]
    fingerprints: tuple[str, ...]
    throw_away: bool
    schedules: tuple[Schedule, ...]
    slots: tuple[Slot, ...]
    outcomes: Mapping[str, int]
    """Runs by result; ``aborted`` ones among them."""
    controls: tuple[Control, ...]
    without_scenario: tuple[str, ...]
    """Controls of a schedule that no scenario supports."""
    without_control: tuple[str, ...]
    """Scenarios that support no control."""
    changes: tuple[Change, ...]
    exceptions: tuple[Accepted, ...]
    trends: tuple[Trend, ...]
    unclean: tuple[str, ...]
    """Runs from a work tree that was not as committed."""
    notes: tuple[str, ...] = field(default=())

    def document(self) -> dict[str, Any]:
        """The same for other programs; times in RFC 3339, lengths in seconds."""
        return {"format": FORMAT, **_plain(asdict(self))}


def length(span: timedelta) -> str:
    """A length of time in words."""
    return f"{span / timedelta(days=1):.3g} days" if span >= timedelta(days=2) else f"{span / timedelta(hours=1):.3g} h"


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return format_time(value)
    if isinstance(value, timedelta):
        return value.total_seconds()
    if hasattr(value, "_asdict"):
        return _plain(value._asdict())
    if isinstance(value, Mapping):
        return {str(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    if isinstance(value, float) and abs(value) == float("inf"):
        return None
    return value


def documents(found: Coverage) -> dict[str, str]:
    """``coverage.md``, ``coverage.json`` and, with Jinja2, ``coverage.html``: name to text."""
    from pytest_enterprise.evidence import coverage_page, coverage_text, pages

    texts = {
        "coverage.md": "".join(f"{line}\n" for line in coverage_text.lines(found)),
        "coverage.json": json.dumps(found.document(), indent=2) + "\n",
    }
    if pages.available():
        texts["coverage.html"] = "".join(coverage_page.render(found))
    return texts


def write(found: Coverage, directory: Path) -> list[Path]:
    """Write the documents of a period. Raises ConfigurationError where there is no room."""
    texts = documents(found)
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for name, text in texts.items():
            (directory / name).write_text(text, encoding="utf-8")
    except OSError as error:
        raise cannot_write(directory, error) from error
    return [directory / name for name in texts]


def coverage(
    ledger: Path, directory: Path, *, now: datetime, begins: datetime | None = None, ends: datetime | None = None
) -> Coverage:
    """What the ledger and the run directories tell of a period: the schedules' by default, up to ``now``."""
    if not (ledger / ENTRIES).is_file():
        raise ConfigurationError(f"{ledger} is no ledger: it has no {ENTRIES}. Name one with --enterprise-ledger DIR")
    kept, wrong = read_ledger(ledger)
    notes = [f"{one.place}: {one.text}" for one in wrong if one.severity == BROKEN]
    plans = schedules(kept.entries)
    period = _period(plans, kept.entries, now, begins, ends)
    everything, unread = runs_of_ledger.read(kept, directory)
    history = [one for one in everything if period.begins <= one.began < period.ends]
    found = [slot for slot in slots(kept.entries, now) if period.begins <= slot.start < period.ends]
    filled = {id for slot in found if slot.outcome in ("run", "late") for id in slot.runs}
    targets: dict[str, Mapping[str, Any]] = {id: target for plan in plans for id, target in plan.controls.items()}
    controls = _controls(history, targets, period, max((plan.grace for plan in plans), default=timedelta()))
    last = {str(one["node_id"]): one for recorded in history for one in recorded.scenarios}
    told = runs(kept.entries).values()
    return Coverage(
        period=period,
        now=now,
        environments=tuple(sorted({str((one.run.get("environment") or {}).get("name", "")) for one in history})),
        fingerprints=tuple(sorted({key_fingerprint(entry.public) for entry in kept.entries})),
        throw_away=any(entry.throw_away for entry in kept.entries),
        schedules=tuple(plans),
        slots=tuple(found),
        outcomes=dict(
            Counter(
                "aborted" if run.aborted or not run.ended else str(run.ended.data["result"]).lower()
                for run in told
                if period.begins <= run.began < period.ends
            )
        ),
        controls=tuple(controls),
        without_scenario=tuple(control.id for control in controls if not control.scenarios),
        without_control=tuple(sorted(name for name, one in last.items() if not one.get("controls"))),
        changes=tuple(_events(history, filled, plans, kept.entries, period)),
        exceptions=tuple(_exceptions(history)),
        trends=tuple(trends(history)),
        unclean=tuple(one.id for one in history if one.run.get("clean") is False),
        notes=(*notes, *unread),
    )


def _period(
    plans: Sequence[Schedule], entries: Sequence[Entry], now: datetime, begins: datetime | None, ends: datetime | None
) -> Stretch:
    began = [parse_time(entry.data["began"]) for entry in entries if entry.data.get("began")]
    first = min((plan.begins for plan in plans), default=min(began, default=now))
    last = min(max((plan.until for plan in plans), default=now), now)
    return Stretch(begins=begins or first, ends=max(ends or last, begins or first))


def _controls(
    history: Sequence[Recorded], targets: Mapping[str, Mapping[str, Any]], period: Stretch, grace: timedelta
) -> list[Control]:
    tests: dict[str, list[tuple[datetime, Record, str]]] = {id: [] for id in targets}
    for recorded in history:
        for scenario in recorded.scenarios:
            for control in scenario.get("controls") or ():
                tests.setdefault(control["id"], []).append((recorded.began, scenario, str(control.get("strength"))))
    return [_control(id, tests[id], targets.get(id, {}), period, grace) for id in sorted(tests)]


def _control(
    id: str,
    tests: Sequence[tuple[datetime, Record, str]],
    target: Mapping[str, Any],
    period: Stretch,
    grace: timedelta,
) -> Control:
    every, ttl = (timedelta(seconds=target[key]) if key in target else None for key in ("every_seconds", "ttl_seconds"))
    days: dict[str, str] = {}
    day = period.begins.date()
    while day <= (period.ends - timedelta(microseconds=1)).date():
        days[day.isoformat()] = "none"
        day += timedelta(days=1)
    for at, scenario, _ in tests:
        date = at.date().isoformat()
        days[date] = max(days.get(date, "none"), _verdict(scenario), key=_RANK.index)
    judged = [at for at, scenario, _ in tests if scenario.get("outcome") in ("held", "broken")]
    held = [at for at, scenario, _ in tests if scenario.get("outcome") == "held"]
    gap = max(_between(judged, period), key=lambda stretch: stretch.length)
    strengths = {strength for *_, strength in tests}
    return Control(
        id=id,
        strength=next((strength for strength in STRENGTHS if strength in strengths), ""),
        scenarios=tuple(sorted({str(scenario["node_id"]) for _, scenario, _ in tests})),
        days=days,
        every=every,
        ttl=ttl,
        longest_gap=gap,
        late=every is not None and gap.length > every + grace,
        last_held=held[-1] if held else None,
        stale=tuple(
            Stretch(begins=stretch.begins + ttl, ends=stretch.ends)
            for stretch in (_between(held, period) if ttl else ())
            if ttl and stretch.length > ttl
        ),
    )


def _verdict(scenario: Record) -> str:
    outcome = str(scenario.get("outcome"))
    if outcome in ("not-judged", "skipped"):
        return "not judged"
    if outcome == "held":
        return "held"
    return "waived" if scenario.get("waiver") else "broken"


def _between(times: Sequence[datetime], period: Stretch) -> list[Stretch]:
    marks = [period.begins, *times, period.ends]
    return [Stretch(begins=a, ends=b) for a, b in itertools.pairwise(marks)]


def _events(
    history: Sequence[Recorded],
    filled: set[str],
    plans: Sequence[Schedule],
    entries: Sequence[Entry],
    period: Stretch,
) -> list[Change]:
    def whole(recorded: Recorded) -> bool:
        return recorded.id in filled and all(covers(plan, recorded.entry) for plan in plans)

    found = list(changes(history, whole))
    known: dict[str, Schedule] = {}
    for plan in plans:
        old = known.get(plan.name)
        slots = f"every {length(plan.every)} until {format_time(plan.until)}, {len(plan.controls)} controls"
        text = "registered: " if old is None else "replaced, now: "
        found.append(Change(plan.registered, "schedule", plan.name, text + slots, loosened=_sparser(old, plan)))
        known[plan.name] = plan
    for above, entry in itertools.pairwise(entries):
        if above.public != entry.public:
            names = [key_fingerprint(one.public) for one in (above, entry)]
            found.append(Change(entry.at, "key", entry.place, f"{names[0]} signed before, {names[1]} from here on"))
    return sorted((one for one in found if one.at < period.ends), key=lambda change: (change.at, change.subject))


def _sparser(old: Schedule | None, new: Schedule) -> bool:
    """Whether a schedule asks for less than the one that it replaces."""
    if old is None:
        return False
    kept = all(_target(new, id, key) <= value for id, one in old.controls.items() for key, value in one.items())
    return not kept or new.every > old.every or new.grace > old.grace or not set(old.scenarios) <= set(new.scenarios)


def _target(plan: Schedule, id: str, key: str) -> float:
    value = plan.controls.get(id, {}).get(key)
    return float("inf") if value is None else float(value)


def _exceptions(history: Sequence[Recorded]) -> list[Accepted]:
    seen: dict[tuple[str, ...], list[Recorded]] = {}
    expired: dict[tuple[str, ...], list[str]] = {}
    used: dict[tuple[str, ...], list[str]] = {}
    for recorded in history:
        for one in recorded.run.get("exceptions") or ():
            key = _identity(one)
            seen.setdefault(key, []).append(recorded)
            if one.get("expired"):
                expired.setdefault(key, []).append(recorded.id)
        for key in {_identity(one["waiver"]) for one in recorded.scenarios if one.get("waiver")}:
            used.setdefault(key, []).append(recorded.id)
    return [
        Accepted(
            name=key[0],
            owner=key[1],
            reason=key[2],
            approver=key[3],
            expires=key[4],
            seen=Stretch(begins=found[0].began, ends=found[-1].began),
            waived=tuple(used.get(key, ())),
            expired_in=tuple(expired.get(key, ())),
        )
        for key, found in seen.items()
    ]


def _identity(exception: Mapping[str, Any]) -> tuple[str, ...]:
    return exception_name(exception), *(
        str(exception.get(key, "")) for key in ("owner", "reason", "approver", "expires")
    )
