"""What stands above a chart: the faults as bands and the moments that were measured, with labels that never overlap."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from pytest_enterprise.report.parts import Fault, Moment
from pytest_enterprise.report.traffic import Timeline

LEFT, RIGHT, WIDTH = 62, 84, 820
"""Of the picture; the plot lies between the margins."""
PLOT = WIDTH - LEFT - RIGHT
ROW = 16
_ROWS = 4
"""Rows of labels; what finds no room there is told by the tables alone."""
_CHARACTER = 6.3
"""Units that one character of a label takes at most, on average."""
_MOST = 56
"""Characters of a label."""


class Band(NamedTuple):
    """A fault in the plot."""

    left: int
    right: int
    fault: Fault


class Label(NamedTuple):
    """A label at a vertical line."""

    edge: int
    """x of the line."""
    row: int
    text: str
    right: bool
    """It stands to the right of the line."""
    measured: bool
    """It names a moment that was measured, not the start of a fault."""


def x_of(at: float, timeline: Timeline) -> int:
    """Where a time in seconds since the first request stands."""
    return LEFT + round(at / timeline.seconds * PLOT)


def bands(timeline: Timeline, faults: Sequence[Fault]) -> list[Band]:
    """The faults that the chart shows, from left to right, clipped to the plot and at least 2 units wide."""
    found = [band for fault in faults if (band := _band(fault, timeline))]
    return sorted(found, key=lambda band: band.left)


def _band(fault: Fault, timeline: Timeline) -> Band | None:
    began = (fault.began_ns - timeline.began_ns) / 1e9
    ended = math.inf if fault.ended_ns is None else (fault.ended_ns - timeline.began_ns) / 1e9
    if ended < 0 or began >= timeline.seconds:
        return None
    left = min(x_of(max(began, 0.0), timeline), LEFT + PLOT - 2)
    return Band(left, max(left + 2, x_of(min(ended, timeline.seconds), timeline)), fault)


def marks(timeline: Timeline, moments: Sequence[Moment]) -> list[tuple[int, Moment]]:
    """The measured moments that lie in the chart, with their x."""
    span = timeline.seconds * 1e9
    inside = [moment for moment in moments if 0 <= moment.at_ns - timeline.began_ns <= span]
    return [(x_of((moment.at_ns - timeline.began_ns) / 1e9, timeline), moment) for moment in inside]


def place(shown: Sequence[Band], measured: Sequence[tuple[int, Moment]]) -> tuple[list[Label], int]:
    """The labels and their number of rows; where those of faults find no room in full, numbers alone."""
    numbered = len(shown) > 1
    full = [_fit(f"{band.fault.number} {band.fault.label}" if numbered else band.fault.label) for band in shown]
    told = [(x, _fit(moment.text), True) for x, moment in measured]
    labels = _placed([*((band.left, text, False) for band, text in zip(shown, full, strict=True)), *told])
    if len(labels) < len(shown) + len(told):
        labels = _placed([*told, *((band.left, str(band.fault.number), False) for band in shown)])
    return labels, max((label.row + 1 for label in labels), default=0)


def _placed(wanted: Sequence[tuple[int, str, bool]]) -> list[Label]:
    taken: list[list[tuple[float, float]]] = [[] for _ in range(_ROWS)]
    labels = []
    for edge, text, measured in wanted:
        width = len(text) * _CHARACTER + 8
        right = edge + width <= WIDTH
        left = edge if right else edge - width
        row = next((i for i, spans in enumerate(taken) if _free(spans, left, left + width)), None)
        if row is not None and left >= 0:
            taken[row].append((left, left + width))
            labels.append(Label(edge, row, text, right, measured))
    return labels


def height(label: Label, rows: int) -> int:
    """The y of its text; the plot begins at 0."""
    return (label.row - rows) * ROW - 11


def _free(spans: Sequence[tuple[float, float]], left: float, right: float) -> bool:
    return all(right <= a or left >= b for a, b in spans)


def _fit(text: str) -> str:
    return text if len(text) <= _MOST else text[: _MOST - 1] + "…"
