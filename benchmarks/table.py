"""Rows of figures beside their goals.

A row's text names its goal in brackets: ``(at least 0.95)``, ``(at most 1.4)``, ``(under 3)``, ``(above 0)``,
``(within 0.03)`` of 1, ``(0.999 to 1.001)``. Its value is a number, or a text that begins with one; of several between
slashes each must hold, or the last where the goal says ``ours``. A row without such a goal stands for itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

_NUMBER = r"[-+]?\d[\d,]*(?:\.\d+)?"
_GOAL = re.compile(rf"\((ours )?(at least|at most|under|above|within) ({_NUMBER})( %)?(?: [^()%]*)?\)")
_RANGE = re.compile(rf"\(({_NUMBER}) to ({_NUMBER})\)")
_INTERVAL = re.compile(rf"({_NUMBER}) \(({_NUMBER}) to ({_NUMBER})\)")


class Goal(NamedTuple):
    """Between which figures a value must lie."""

    text: str
    low: float
    high: float
    last: bool = False
    """Of several values it concerns the last only."""
    strict: bool = False
    percent: bool = False


def goal_of(row: str) -> Goal | None:
    """The goal that a row names; None where it names none that can be checked."""
    if found := _GOAL.search(row):
        ours, way, limit, percent = found.groups()
        at = _number(limit)
        ends = {
            "at least": (at, float("inf")),
            "above": (at, float("inf")),
            "at most": (float("-inf"), at),
            "under": (float("-inf"), at),
            "within": (1 - at, 1 + at),
        }[way]
        return Goal(found[0][1:-1], *ends, bool(ours), way in ("above", "under"), bool(percent))
    if found := _RANGE.search(row):
        return Goal(found[0][1:-1], _number(found[1]), _number(found[2]))
    return None


def met(goal: Goal, value: Any) -> bool | None:
    """Whether a value meets a goal; None for a value that is no figure."""
    texts = str(value).split(" / ")
    numbers = [re.match(rf"\s*({_NUMBER})(\s*%)?", text) for text in (texts[-1:] if goal.last else texts)]
    if not all(numbers):
        return None
    values = [_number(found[1]) * (100 if goal.percent and not found[2] else 1) for found in numbers if found]
    if goal.strict:
        return all(goal.low < one < goal.high for one in values)
    return all(goal.low <= one <= goal.high for one in values)


def _number(text: str) -> float:
    return float(text.replace(",", ""))


@dataclass(frozen=True, kw_only=True)
class Part:
    """What one part measured."""

    name: str
    rows: Mapping[str, Any]
    seconds: float

    def extra_info(self) -> dict[str, Any]:
        """Rows, goals and intervals, for pytest-benchmark to keep."""
        goals, intervals = {}, {}
        for row, value in self.rows.items():
            if goal := goal_of(row):
                goals[row] = {"goal": goal.text, "value": value, "met": met(goal, value)}
            if found := _INTERVAL.match(str(value)):
                intervals[row] = [_number(end) for end in found.groups()]
        return {"rows": dict(self.rows), "goals": goals, "intervals": intervals}


def lines(parts: Sequence[Part]) -> Iterator[tuple[str, bool]]:
    """The table line by line, and whether a goal is missed there."""
    found = [(part, row, value, goal_of(row)) for part in parts for row, value in part.rows.items()]
    names = max((len(_bare(row, goal)) for _, row, _, goal in found), default=0)
    values = max((len(_shown(value)) for _, _, value, _ in found), default=0)
    missed = 0
    for part in parts:
        yield f"{part.name} ({part.seconds:.0f} s)", False
        for row, value in part.rows.items():
            goal = goal_of(row)
            holds = met(goal, value) if goal else None
            missed += holds is False
            mark = {True: "✓", False: "✗ missed", None: "?" if goal else ""}[holds]
            told = goal.text if goal else ""
            line = f"  {_bare(row, goal):<{names}}  {_shown(value):>{values}}  {told:<18} {mark}"
            yield line.rstrip(), holds is False
    total = sum(bool(goal) for *_, goal in found)
    yield f"{total - missed} of {total} goals met; {sum(part.seconds for part in parts):.0f} s in all", missed > 0


def _bare(row: str, goal: Goal | None) -> str:
    return row.replace(f" ({goal.text})", "") if goal else row


def _shown(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
