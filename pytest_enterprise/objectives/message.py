"""What a test says when an objective does not hold."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_enterprise.load.records import Request
from pytest_enterprise.objectives.base import Verdict
from pytest_enterprise.objectives.phases import Window
from pytest_enterprise.objectives.text import between, quantity

_WORDS = {">=": "at least", "<=": "at most"}


def explain(
    verdicts: Sequence[Verdict],
    windows: Sequence[Window],
    began_ns: int | None,
    *,
    total: int,
    seed: int | None,
    again: str,
) -> str:
    """The message for ``verdicts``, those of ``total`` that did not hold; ``began_ns`` is the load's start."""
    ordered = sorted(verdicts, key=lambda verdict: verdict.outcome != "broken")
    lines = [f"{len(verdicts)} of {total} objectives did not hold: {', '.join(v.objective for v in ordered)}", ""]
    if total == 1:
        lines = []
    for verdict in ordered:
        lines += [*_verdict(verdict, windows, began_ns), ""]
    if seed is not None:
        lines.append(f"seed {seed}")
    lines.append(f"again: {again}")
    return "\n".join(lines)


def _verdict(verdict: Verdict, windows: Sequence[Window], began_ns: int | None) -> list[str]:
    window = next((w for w in windows if w.fault_id == verdict.fault), None)
    lines = [f"{verdict.objective}: {headline(verdict)}", f"  {verdict.detail}" if verdict.detail else ""]
    if window:
        told = f"{window.fault_id}: {window.settings}" if window.settings else window.fault_id
        lines.append(f"  {verdict.phase} {window.label} ({told}){_when(window, began_ns)}")
    elif verdict.worst:
        lines.append(f"  {verdict.phase} load")
    if verdict.worst:
        lines.append("  worst requests:")
        traces = verdict.traces or [""] * len(verdict.worst)
        rows = [
            [*_request(r, windows, began_ns), t and f"trace {t}"] for r, t in zip(verdict.worst, traces, strict=True)
        ]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        for row in rows:
            cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True) if width)
            lines.append(f"    {'  '.join(cells).rstrip()}")
    return [line for line in lines if line]


def headline(verdict: Verdict) -> str:
    """The outcome in one line: ``broken: 97.4 % (96.1 % to 98.3 %), limit at least 99.5 %, 612 samples``."""
    text: str = verdict.outcome
    if verdict.value is not None:
        text += f": {quantity(verdict.value, verdict.unit)}"
        if verdict.interval:
            text += f" ({between(verdict.interval, verdict.unit)})"
    text += f", limit {_WORDS[verdict.comparison]} {quantity(verdict.limit, verdict.unit)}"
    return f"{text}, {verdict.samples:,} samples" if verdict.samples > 1 else text


def _when(window: Window, began_ns: int | None) -> str:
    if began_ns is None:
        return ""
    ended = "never ended" if window.ended_ns is None else f"to {(window.ended_ns - began_ns) / 1e9:.3f} s"
    return f", from {(window.began_ns - began_ns) / 1e9:.3f} s {ended} of the load"


def _request(request: Request, windows: Sequence[Window], began_ns: int | None) -> list[str]:
    at = "" if began_ns is None else f"at {(request.start - began_ns) / 1e9:.3f} s"
    return [at, request.name, f"{request.latency:.3f} s", request.error or "ok", doing(request.start, windows)]


def doing(at: int, windows: Sequence[Window]) -> str:
    """What the faults were doing at that time: those that were on, else the nearest before or after."""
    on = [w for w in windows if w.began_ns <= at and (w.ended_ns is None or at < w.ended_ns)]
    if on:
        return "; ".join(f"{(at - w.began_ns) / 1e9:.3f} s into {w.label}" for w in on)
    over = [w for w in windows if w.ended_ns is not None and w.ended_ns <= at]
    if over:
        last = max(over, key=lambda w: w.ended_ns or 0)
        return f"{(at - (last.ended_ns or 0)) / 1e9:.3f} s after the end of {last.label}"
    coming = [w for w in windows if at < w.began_ns]
    if coming:
        first = min(coming, key=lambda w: w.began_ns)
        return f"{(first.began_ns - at) / 1e9:.3f} s before {first.label}"
    return ""
