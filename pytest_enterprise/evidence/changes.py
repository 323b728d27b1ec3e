"""What changed from run to run in what is tested, by which threshold and for which control; loosening most of all."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from pytest_enterprise.evidence.history import Record, Recorded, measurements

_JUDGED = ("held", "broken")


class Change(NamedTuple):
    """One event of the period."""

    at: datetime
    kind: str
    """``threshold``, ``test``, ``mapping``, ``framework``, ``exception``, ``environment``, ``key`` or ``schedule``."""
    subject: str
    text: str
    loosened: bool = False
    """Less is asked for, or less is looked at, than before."""


def changes(history: Sequence[Recorded], whole: Callable[[Recorded], bool]) -> Iterator[Change]:
    """The changes from run to run.

    A test is gone when the runs that tested everything (``whole``) lack it for longer than it was ever absent before.
    """
    known: dict[str, Record] = {}
    run: Record | None = None
    for recorded in history:
        at = recorded.began
        if run is not None:
            yield from _of_runs(at, run, recorded.run)
        present = {str(one["node_id"]): one for one in recorded.scenarios}
        for name, scenario in present.items():
            if name in known:
                yield from (change._replace(at=at, subject=name) for change in _of_scenarios(known[name], scenario))
            elif run is not None:
                yield Change(at, "test", name, "new")
        for name, scenario in present.items():
            if scenario.get("outcome") in _JUDGED or name not in known:
                known[name] = scenario
            else:
                # What was not judged says nothing of thresholds; those that were judged last stay known.
                known[name] = {**known[name], "controls": scenario["controls"], "claim": scenario.get("claim")}
        run = recorded.run
    yield from _gone([recorded for recorded in history if whole(recorded)])


def _gone(history: Sequence[Recorded]) -> Iterator[Change]:
    seen: dict[str, list[int]] = {}
    for number, recorded in enumerate(history):
        for one in recorded.scenarios:
            seen.setdefault(str(one["node_id"]), []).append(number)
    for name, numbers in sorted(seen.items()):
        longest = max((b - a for a, b in itertools.pairwise(numbers)), default=1)
        if len(history) - numbers[-1] > longest:
            yield Change(history[numbers[-1] + 1].began, "test", name, "no longer there", loosened=True)


def _of_scenarios(old: Record, new: Record) -> Iterator[Change]:
    before, after = (
        {one["id"]: one.get("strength") for one in scenario.get("controls", ())} for scenario in (old, new)
    )
    for id in sorted(set(before) | set(after)):
        if before.get(id) != after.get(id):
            text = f"{id}: {before.get(id) or 'not mapped'} before, {after.get(id) or 'not mapped'} now"
            yield _change("mapping", text, loosened=id not in after)
    if (old.get("claim") or {}).get("text") != (new.get("claim") or {}).get("text"):
        told = [repr((one.get("claim") or {}).get("text", "")) for one in (old, new)]
        yield _change("test", f"its claim was {told[0]} and is {told[1]}")
    if new.get("outcome") not in _JUDGED or old.get("outcome") not in _JUDGED:
        return
    thresholds, now = measurements(old), measurements(new)
    for name, measured in thresholds.items():
        if name in now:
            yield from _of_thresholds(name, measured, now[name])
        elif new["outcome"] == "held":  # a test that failed may have ended before it measured
            yield _change("threshold", f"{name}: no longer judged", loosened=True)
    for name in now:
        if name not in thresholds and old["outcome"] == "held":
            yield _change("threshold", f"{name}: judged from now on")


def _of_thresholds(name: str, old: Record, new: Record) -> Iterator[Change]:
    written = [
        f"{one.get('comparison')} {_number(one.get('limit'))} {one.get('unit') or ''}".rstrip() for one in (old, new)
    ]
    if written[0] == written[1]:
        return
    yield _change("threshold", f"{name}: {written[0]} before, {written[1]} now", loosened=_looser(old, new))


def _looser(old: Record, new: Record) -> bool:
    """Whether a threshold asks for less; one that cannot be compared is taken to."""
    before, after, way = old.get("limit"), new.get("limit"), str(new.get("comparison"))
    numbers = isinstance(before, int | float) and isinstance(after, int | float)
    if not numbers or way != old.get("comparison") or new.get("unit") != old.get("unit") or way[:1] not in ("<", ">"):
        return True
    return bool(after > before if way.startswith("<") else after < before)  # type: ignore[operator]


def _number(value: Any) -> str:
    return f"{value:g}" if isinstance(value, int | float) else str(value)


def _of_runs(at: datetime, old: Record, new: Record) -> Iterator[Change]:
    named = [str((one.get("environment") or {}).get("name", "")) for one in (old, new)]
    if named[0] != named[1]:
        yield Change(at, "environment", "run", f"{named[0]} before, {named[1]} now")
    before, after = ({str(one.get("id")): one for one in run.get("frameworks") or ()} for run in (old, new))
    for id in sorted(set(before) & set(after)):
        versions = [f"version {one.get('version')}, {str(one.get('sha256'))[:12]}" for one in (before[id], after[id])]
        if versions[0] != versions[1]:
            yield Change(at, "framework", id, f"{versions[0]} before, {versions[1]} now")
    kept, now = ({exception_name(one): one for one in run.get("exceptions") or ()} for run in (old, new))
    for name in sorted(set(now) - set(kept)):
        one = now[name]
        told = (
            f"accepted until {one.get('expires')} by {one.get('approver')}, for {one.get('owner')}: {one.get('reason')}"
        )
        yield Change(at, "exception", name, told, loosened=True)
    for name in sorted(set(kept) - set(now)):
        yield Change(at, "exception", name, "no longer accepted")
    for name in sorted(set(kept) & set(now)):
        if kept[name].get("expires") != now[name].get("expires"):
            told = f"until {kept[name].get('expires')} before, until {now[name].get('expires')} now"
            longer = str(now[name].get("expires")) > str(kept[name].get("expires"))
            yield Change(at, "exception", name, told, loosened=longer)


def exception_name(exception: Mapping[str, Any]) -> str:
    """What an exception is for."""
    return str(exception.get("scenario") or f"claim {exception.get('claim', '')}")


def _change(kind: str, text: str, *, loosened: bool = False) -> Change:
    return Change(datetime.min, kind, "", text, loosened)  # time and test are put in by the caller
