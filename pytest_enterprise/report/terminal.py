"""The report as plain text: the summary at the end of a session, and what happens while it runs."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from typing import Any

from pytest_enterprise.events import Event
from pytest_enterprise.objectives.text import quantity
from pytest_enterprise.report import reading, words
from pytest_enterprise.report.parts import RunReport, Scenario

_WIDEST = 120
_MANY = 40
"""Scenarios above which those that held are counted, not listed."""
_FIGURES = (3, 4)
"""Columns that stand to the right."""
_PLAIN = str.maketrans({"≥": ">=", "≤": "<=", "✓": "+", "✗": "x", "–": "-", "…": "...", "×": "x", "→": "->", "µ": "u"})


def summary_lines(report: RunReport, *, width: int | None = None, unicode: bool | None = None) -> list[str]:
    """The verdict table, the claims, the sabotage and where the report is.

    ``width`` is in columns (the terminal's, at most 120); ``unicode`` is whether to use more than ASCII (what the
    standard output can encode).
    """
    width = min(width or shutil.get_terminal_size((_WIDEST, 24)).columns, _WIDEST)
    lines = [*report.notes]
    if report.scenarios:
        lines += [*_verdicts(report, width), ""]
    if report.sabotaged:
        lines += [*_sabotage(report), ""]
    elif report.claims:
        lines += [*_claims(report), ""]
    lines.append(words.headline(report).sentence)
    page = report.directory / "index.html"
    lines.append(f"report: {page}" if page.exists() else f"run directory: {report.directory}{_no_page()}")
    encodable = _unicode() if unicode is None else unicode
    return [part for line in lines for part in _wrapped(_printable(line, encodable=encodable), width)]


def _no_page() -> str:
    from importlib.util import find_spec

    return "" if find_spec("jinja2") else " (for an HTML report: pip install 'pytest-enterprise[report]')"


def _verdicts(report: RunReport, width: int) -> list[str]:
    shown = words.worst_first(report.scenarios)
    hidden = 0
    if len(shown) > _MANY:
        listed = [scenario for scenario in shown if not scenario.good][:_MANY]
        hidden = len(shown) - len(listed)
        shown = listed
    rows = [("scenario", "objective", "phase", "found", "limit", "verdict")]
    for scenario in shown:
        name = words.short(scenario.test)
        for judged in scenario.judgements:
            rows.append(
                (
                    name,
                    judged.objective,
                    words.phase(judged, scenario),
                    words.value(judged),
                    words.limit(judged),
                    f"{words.MARKS.get(judged.outcome, '?')} {judged.outcome}",
                )
            )
            name = ""
        if name or (scenario.verdict == "broken" and not any(j.outcome == "broken" for j in scenario.judgements)):
            rows.append((name, _reason(scenario), "", "", "", f"{words.MARKS[scenario.verdict]} {scenario.verdict}"))
    lines = _table(rows, width) if len(rows) > 1 else []
    if hidden:
        lines.append(f"and {words.count(hidden, 'scenario')} more, listed in the report")
    return lines


def _reason(scenario: Scenario) -> str:
    first = (scenario.reason or scenario.message or "judged nothing").partition("\n")[0]
    return first if len(first) <= 34 else first[:33] + "…"


def _table(rows: Sequence[Sequence[str]], width: int) -> list[str]:
    """Aligned columns; the first gives way, keeping its end, and figures stand to the right."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    over = sum(widths) + 2 * (len(widths) - 1) - width
    for column, least in ((0, 24), (1, 20)):
        cut = max(0, min(over, widths[column] - least))
        widths[column] -= cut
        over -= cut
    lines = []
    for row in rows:
        cells = []
        for column, (text, size) in enumerate(zip(row, widths, strict=True)):
            fitted = _fit(text, size, end=column == 0)
            cells.append(fitted.rjust(size) if column in _FIGURES else fitted.ljust(size))
        lines.append("  ".join(cells).rstrip())
    return lines


def _fit(text: str, size: int, *, end: bool) -> str:
    if len(text) <= size:
        return text
    return "…" + text[len(text) - size + 1 :] if end else text[: size - 1] + "…"


def _claims(report: RunReport) -> list[str]:
    longest = max(len(answer.claim.id) for answer in report.claims)
    order = ("broken", "not judged", "no scenario", "held")
    lines = ["claims"]
    for answer in sorted(report.claims, key=lambda answer: order.index(answer.answer)):
        reason = next((s.reason for s in answer.scenarios if s.answer == answer.answer and s.reason), "")
        told = f"  {words.MARKS[answer.answer]} {answer.answer:<11}  {answer.claim.id:<{longest}}  {reason}".rstrip()
        lines.append(told if len(told) <= _WIDEST else told[: _WIDEST - 1] + "…")
    return lines


def _sabotage(report: RunReport) -> list[str]:
    lines = ["sabotage"]
    for scenario in words.worst_first(report.sabotaged):
        mark = words.MARKS.get(scenario.verdict, "?")
        named = f", must break {scenario.sabotage.objective}" if scenario.sabotage else ""
        lines.append(f"  {mark} {scenario.verdict:<10}  {words.short(scenario.test)}: {scenario.switch}{named}")
        if scenario.sabotage and not scenario.good:
            lines.append(f"      {scenario.sabotage.detail}")
    return lines


def _unicode() -> bool:
    try:
        "≥✓…".encode(sys.stdout.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def _printable(text: str, *, encodable: bool) -> str:
    """One line without control characters, which could rewrite a terminal, and if asked without what is not ASCII."""
    text = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
    return text if encodable else text.translate(_PLAIN).encode("ascii", "backslashreplace").decode()


def _wrapped(line: str, width: int) -> list[str]:
    if len(line) <= width:
        return [line]
    import textwrap

    indent = " " * (len(line) - len(line.lstrip()) + 2)
    return textwrap.wrap(line, width, subsequent_indent=indent, break_on_hyphens=False)


def narrate(event: Event) -> str | None:
    """An event in one line, for live progress; None for what need not be told."""
    line = _narrated(event["kind"], event)
    return None if line is None else _printable(line, encodable=_unicode())


def _narrated(kind: str, event: Event) -> str | None:
    def get(name: str, default: Any = "") -> Any:
        value = event.get(name)
        return default if value is None else value

    match kind:
        case "engine.ready":
            return f"{get('engine')} is ready after {words.seconds(reading.number(get('seconds')))} ({get('version')})"
        case "engine.failed":
            return f"{get('engine')} failed: {get('reason')}"
        case "load.started":
            return f"load {get('load')}: {get('users', 'some')} users on {get('host')}"
        case "load.finished":
            sent, failed = words.plain(get("requests", 0)), words.plain(get("failures", 0))
            return f"load {get('load')}: {sent} requests, {failed} failed"
        case "fault.began":
            return f"fault: {get('fault_kind')} on {get('target')} begins"
        case "fault.ended":
            facts = ", ".join(words.fact(name, value) for name, value in reading.mapping(get("evidence")).items())
            acted = get("proof") if get("acted") else "acted on nothing"
            return f"fault: {get('fault')} has ended, {acted}{f' ({facts})' if facts else ''}"
        case "objective.judged":
            judged = reading.judgement(event)
            found = "" if judged.value is None else f"{quantity(judged.value, judged.unit)}, "
            return f"{judged.objective} ({judged.phase}): {found}limit {words.limit(judged)}: {judged.outcome}"
        case "scenario.sabotaged":
            return f"sabotage {get('switch')}: {get('outcome')}"
    return None
