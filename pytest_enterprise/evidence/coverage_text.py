"""The coverage of a period in words: Markdown, for a terminal, a pull request and paper."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import datetime

from pytest_enterprise.evidence.coverage import Control, Coverage, Stretch, length
from pytest_enterprise.evidence.entries import format_time
from pytest_enterprise.evidence.period import OUTCOMES, counts

_SIGNS = {"held": "#", "waived": "w", "broken": "X", "not judged": "?", "none": "."}
_SLOTS = {"run": "#", "late": "l", "missed": ".", "aborted": "a", "open": " "}


def lines(found: Coverage) -> Iterator[str]:
    """The report, line by line. What is wrong comes first."""
    yield f"# Evidence from {_day(found.period.begins)} to {_day(found.period.ends)}"
    yield ""
    yield f"Tested environment: {', '.join(found.environments) or 'none'}. As of {format_time(found.now)}."
    yield "Scenarios support controls, each with a strength; whether a control operated, an auditor concludes."
    yield f"Signed by {', '.join(found.fingerprints) or 'nobody'}."
    if found.throw_away:
        yield "Some of it is signed by a throw-away key, which shows nothing about who signed."
    yield "Times are the signers' own, unless a time-stamp authority or a witness that is not theirs saw a checkpoint."
    yield from (f"Note: {note}." for note in found.notes)
    yield from _slots(found)
    yield from _controls(found)
    yield from _changes(found)
    yield from _exceptions(found)
    yield from _trends(found)
    if found.unclean:
        yield from ("", "## Runs from an unclean work tree", "", *(f"- {id}" for id in found.unclean))


def _slots(found: Coverage) -> Iterator[str]:
    yield from ("", "## Population", "")
    results = ", ".join(f"{count} {name}" for name, count in sorted(found.outcomes.items()))
    yield f"Runs: {results or 'none'}."
    if not found.schedules:
        yield "No schedule was registered, so nothing says which runs are missing."
    for name in dict.fromkeys(plan.name for plan in found.schedules):
        mine = [slot for slot in found.slots if slot.schedule == name]
        yield f"Schedule {name}: {len(mine)} slots: {counts(mine)}."
        unannounced = sum(not slot.announced for slot in mine)
        if unannounced:
            yield f"Of these, {unannounced} began before the schedule was registered."
        yield ""
        yield f"    {''.join(_SLOTS[slot.outcome] for slot in mine)}"
        yield "    # run, l late, . missed, a aborted"
        yield ""
        for outcome in OUTCOMES[1:-1]:
            for slot in mine:
                if slot.outcome == outcome:
                    ids = f": {', '.join(slot.runs)}" if slot.runs else ""
                    silent = "" if slot.recorded or outcome != "missed" else ", not recorded in the ledger"
                    yield f"- {outcome} {format_time(slot.start)}{ids}{silent}"


def _controls(found: Coverage) -> Iterator[str]:
    yield from ("", "## Controls by day", "")
    width = max((len(control.id) for control in found.controls), default=0)
    for control in found.controls:
        yield f"    {control.id:<{width}}  {''.join(_SIGNS[verdict] for verdict in control.days.values())}"
    yield "    # held, w failed and accepted, X broken, ? not judged, . not tested"
    yield ""
    yield "| control | strength | scenarios | days held | target | longest gap | evidence now |"
    yield "| --- | --- | --- | --- | --- | --- | --- |"
    for control in found.controls:
        yield _row(control, found)
    yield ""
    for control in found.controls:
        yield from (f"- {control.id}: evidence was older than its time to live {_span(part)}" for part in control.stale)
    yield from (f"- {id}: in a schedule, and no scenario supports it" for id in found.without_scenario)
    yield from (f"- {name}: a scenario that supports no control" for name in found.without_control)


def _row(control: Control, found: Coverage) -> str:
    number = Counter(control.days.values())
    target = f"every {length(control.every)}" if control.every else "none"
    gap = length(control.longest_gap.length) + (" (over target)" if control.late else "")
    stale = bool(control.stale and control.stale[-1].ends == found.period.ends)
    last = f"of {_day(control.last_held)}" if control.last_held else "none"
    cells = (
        control.id,
        control.strength or "no scenario",
        str(len(control.scenarios)),
        f"{number['held']} of {len(control.days)}",
        target,
        gap,
        last + (", stale" if stale else ""),
    )
    return f"| {' | '.join(cells)} |"


def _changes(found: Coverage) -> Iterator[str]:
    loosened = [change for change in found.changes if change.loosened]
    yield from ("", "## What changed", "")
    yield (
        f"{len(loosened)} of {len(found.changes)} changes ask for less than before:"
        if loosened
        else "Nothing was loosened."
    )
    for marked in (True, False):
        for change in found.changes:
            if change.loosened is marked:
                mark = "**loosened** " if marked else ""
                yield f"- {mark}{_day(change.at)} {change.kind} {change.subject}: {change.text}"


def _exceptions(found: Coverage) -> Iterator[str]:
    yield from ("", "## Exceptions", "")
    if not found.exceptions:
        yield "None."
    for one in found.exceptions:
        yield f"- {one.name}: {one.reason} (owner {one.owner}, approved by {one.approver}, until {one.expires})"
        runs = f"runs {_span(one.seen)}"
        yield f"  applied to a failure in {len(one.waived)} {runs}; those stay failed"
        if one.expired_in:
            yield f"  had expired in {len(one.expired_in)} of them: {', '.join(one.expired_in)}"


def _trends(found: Coverage) -> Iterator[str]:
    yield from ("", "## Drifting towards a threshold", "")
    if not found.trends:
        yield "Nothing."
    for one in found.trends:
        low, high = one.interval
        yield f"- {one.scenario}: {one.measurement} is {one.last:g} {one.unit} with a limit of {one.limit:g}".rstrip()
        yield (
            f"  it moves by {one.per_day:.3g} a day (99 %: {low:.3g} to {high:.3g}, {one.values} values) and would "
            f"meet it in {one.days:.0f} days ({one.days_interval[0]:.0f} to {one.days_interval[1]:.0f})"
        )


def _span(part: Stretch) -> str:
    return f"from {_day(part.begins)} to {_day(part.ends)}"


def _day(at: datetime) -> str:
    return at.date().isoformat()
