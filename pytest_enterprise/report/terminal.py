"""The report as plain text: the summary at the end of a session, and what happens while it runs."""

from __future__ import annotations

import shutil
import sys
from typing import Any

from pytest_enterprise.events import Event
from pytest_enterprise.objectives.text import quantity
from pytest_enterprise.report import reading, words
from pytest_enterprise.report.parts import Judgement, RunReport, Scenario

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
        lines += [*_verdicts(report), ""]
    if report.sabotaged:
        lines += [*_sabotage(report), ""]
    elif report.claims:
        lines += [*_claims(report), ""]
    lines.append(words.headline(report).sentence)
    page = report.directory / "index.html"
    lines += [f"report: {page}"] if page.exists() else [f"run directory: {report.directory}", _no_page()]
    encodable = _unicode() if unicode is None else unicode
    return [part for line in lines for part in _wrapped(_printable(line, encodable=encodable), width)]


def _no_page() -> str:
    from importlib.util import find_spec

    if find_spec("jinja2"):
        return "index.html was not written: is the disk full? pytest-enterprise report makes it again"
    return "no index.html: it needs Jinja2 (pip install 'pytest-enterprise[report]')"


def _verdicts(report: RunReport) -> list[str]:
    """Each scenario with its objectives below it in columns that are aligned over all of them."""
    shown = words.worst_first(report.scenarios)
    hidden = 0
    if len(shown) > _MANY:
        listed = [scenario for scenario in shown if not scenario.good][:_MANY]
        hidden = len(shown) - len(listed)
        shown = listed
    rows = [[_row(judged, scenario) for judged in scenario.judgements] for scenario in shown]
    widths = [max((len(row[column]) for group in rows for row in group), default=0) for column in range(5)]
    lines = []
    for scenario, group in zip(shown, rows, strict=True):
        lines.append(f"{_marked(scenario.verdict)}  {words.short(scenario.test)}{words.loops(scenario)}")
        for row in group:
            cells = [
                text.rjust(width) if column in _FIGURES else text.ljust(width)
                for column, (text, width) in enumerate(zip(row, widths, strict=True))
            ]
            lines.append("    " + "  ".join(cells).rstrip())
        if scenario.reason and not any(judged.outcome == scenario.verdict for judged in scenario.judgements):
            lines.append(f"    {scenario.reason}")
    if hidden:
        lines.append(f"and {words.count(hidden, 'scenario')} more, listed in the report")
    return lines


def _row(judged: Judgement, scenario: Scenario) -> tuple[str, ...]:
    found, limit, phase = words.value(judged), words.limit(judged), words.phase(judged, scenario)
    return (_marked(judged.outcome), judged.objective, phase, found, limit)


def _marked(verdict: str) -> str:
    return f"{words.MARKS.get(verdict, '?')} {verdict}"


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
    return textwrap.wrap(line, width, subsequent_indent=indent, break_on_hyphens=False, break_long_words=False)


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
            return f"load {get('load')}: {words.loop(event)}, on {get('host')}"
        case "load.behind":
            return f"load {get('load')}: generator behind: {get('reason')}"
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
        case "comparison.judged":
            ratio, interval = reading.number(get("ratio")), reading.interval(get("interval"))
            ends = f" ({interval[0]:.3f} to {interval[1]:.3f})" if interval else ""
            found = "" if ratio is None else f"{ratio:.3f} times{ends}: "
            return f"{get('comparison')}, {get('metric')} of {get('endpoint')}: {found}{get('outcome')}"
        case "scenario.sabotaged":
            return f"sabotage {get('switch')}: {get('outcome')}"
    return None
