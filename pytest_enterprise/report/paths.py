"""Paths of charts, as short as they can be: the bulk of a report is these numbers.

The page's script reads the values of a chart back from them, so that a chart says each number once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import groupby, pairwise

from pytest_enterprise.report.traffic import Bucket, runs


def steps(counts: Sequence[int]) -> str:
    """The outline of bars from 0 up, one unit wide each: ``v`` by how much higher the next is, ``h`` over how many.

    Where there is nothing, ``m`` leaves out as many.
    """
    parts, at = ["M0 0"], 0
    for count, bars in groupby(counts):
        along = sum(1 for _ in bars)
        parts.append((f"v{count - at}" if count != at else "") + (f"h{along}" if count else f"m{along} 0"))
        at = count
    return "".join(parts) + (f"v{-at}" if at else "")


def percentiles(buckets: Sequence[Bucket], name: str, place: Callable[[float], int]) -> str:
    """One percentile through the middles of the buckets, broken where nothing was sent; ``place`` gives heights."""
    parts = []
    for first, end in runs(buckets):
        heights = [place(getattr(buckets[number], name)) for number in range(first, end)]
        parts.append(f"M{first}.5 {heights[0]}" + ("" if len(heights) > 1 else "h0"))
        parts.append("l" + " ".join(f"1{signed(b - a)}" for a, b in pairwise(heights)) if len(heights) > 1 else "")
    return "".join(parts)


def level(counts: Sequence[int]) -> str:
    """What is counted at the ends of steps, as an area under a line that begins at nothing."""
    moves = " ".join(f"1{signed(b - a)}" for a, b in pairwise((0, *counts)))
    return f"M0 0l{moves}V0"


def line(points: Sequence[tuple[int, int]]) -> str:
    """A line through points."""
    if not points:
        return ""
    moves = " ".join(f"{b[0] - a[0]}{signed(b[1] - a[1])}" for a, b in pairwise(points))
    return f"M{points[0][0]} {points[0][1]}" + (f"l{moves}" if moves else "h0")


def signed(number: int) -> str:
    """Without the separator that a minus sign makes needless."""
    return str(number) if number < 0 else f" {number}"
