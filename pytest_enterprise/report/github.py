"""What GitHub Actions shows of a run: annotations at the tests' files and a step summary."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from pytest_enterprise.report import words
from pytest_enterprise.report.parts import Judgement, RunReport, Scenario

_SHOWN = 10
"""Annotations of one level that GitHub shows of a step; further ones it drops without a word."""
_ROWS = 200
"""Rows of verdicts in the summary, which may hold 1 MiB."""
_TOLD = 20
"""Messages of scenarios in the summary, of at most so many characters each."""
_LONGEST = 4_000


def publish(
    report: RunReport, write_line: Callable[[str], object] = print, *, environ: Mapping[str, str] = os.environ
) -> bool:
    """In GitHub Actions, give every annotation to ``write_line`` and append the summary; False elsewhere."""
    return _publish(lambda: workflow_commands(report), lambda: step_summary(report), write_line, environ)


def publish_load(
    load: str,
    judgements: Sequence[Judgement],
    write_line: Callable[[str], object] = print,
    *,
    environ: Mapping[str, str] = os.environ,
) -> bool:
    """The same for a load that was judged without pytest; ``load`` is what it is called."""

    def commands() -> list[str]:
        return [
            f"::{'error' if judged.outcome == 'broken' else 'warning'} "
            f"title={_property(f'{load}: {judged.objective}: {judged.outcome}')}::"
            f"{_data(f'{words.value(judged)}, limit {words.limit(judged)}; {judged.detail}')}"
            for judged in judgements
            if judged.outcome != "held"
        ]

    def summary() -> str:
        held = sum(judged.outcome == "held" for judged in judgements)
        lines = [f"## {_text(load)}: {held} of {words.count(len(judgements), 'objective')} held", ""]
        lines += ["| Objective | Phase | Found | Limit | Verdict |", "| --- | --- | ---: | ---: | --- |"]
        lines += [f"| {_text(j.objective)} | {_cells(j, j.phase)} |" for j in judgements[:_ROWS]]
        return "\n".join(lines) + "\n"

    return _publish(commands, summary, write_line, environ)


def _publish(
    commands: Callable[[], list[str]],
    summary: Callable[[], str],
    write_line: Callable[[str], object],
    environ: Mapping[str, str],
) -> bool:
    if environ.get("GITHUB_ACTIONS") != "true":
        return False
    for line in commands():
        write_line(line)
    if target := environ.get("GITHUB_STEP_SUMMARY"):
        try:
            with Path(target).open("a", encoding="utf-8") as file:
                file.write(summary())
        except OSError as error:
            write_line(f"::warning::the step summary could not be written: {_data(str(error.strerror))}")
    return True


def workflow_commands(report: RunReport) -> list[str]:
    """One workflow command for each test that did not hold: errors for broken ones, warnings for those not judged."""
    errors: list[str] = []
    warnings: list[str] = []
    for test in report.tests:
        if not test.good:
            level = "warning" if test.verdict in ("not judged", "unfinished") else "error"
            (warnings if level == "warning" else errors).append(_annotation(level, test))
    return [*_capped("error", errors), *_capped("warning", warnings)]


def _annotation(level: str, test: Scenario) -> str:
    told = test.sabotage.detail if test.sabotage else test.reason or test.message or test.outcome
    again = "" if test.message.count("again: ") else f"\n{test.test}"
    file = _property(test.test.partition("::")[0])
    line = "" if test.line is None else f",line={test.line}"
    title = _property(f"{words.short(test.test)}: {test.verdict}")
    return f"::{level} file={file}{line},title={title}::{_data(told + again)}"


def _capped(level: str, lines: list[str]) -> list[str]:
    if len(lines) <= _SHOWN:
        return lines
    left = len(lines) - _SHOWN + 1
    return [*lines[: _SHOWN - 1], f"::{level}::{left} more did not hold; see the report"]


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def step_summary(report: RunReport) -> str:
    """The headline, the claims and the verdicts in Markdown."""
    told = words.headline(report)
    lines = [f"## {words.MARKS[told.verdict]} {_text(told.sentence)}", "", *(f"> {_text(n)}" for n in report.notes), ""]
    state = " with uncommitted changes" if report.clean is False else ""
    commit = f"{report.commit[:12]}{state}" if report.commit else "unknown"
    lines += [f"Run {_code(report.id)}, seed {report.seed}, commit {commit}. Again: {_code(words.again(report))}", ""]
    if report.claims and not report.sabotaged:
        lines += ["| Claim | Answer |", "| --- | --- |"]
        lines += [
            f"| {_text(answer.claim.text)} | {words.MARKS[answer.answer]} {answer.answer} |" for answer in report.claims
        ]
        lines.append("")
    rows = [
        f"| {_code(words.short(scenario.test))}{words.loops(scenario)} | {_text(judged.objective)} "
        f"| {_cells(judged, words.phase(judged, scenario))} |"
        for scenario in words.worst_first(report.scenarios)
        for judged in scenario.judgements
    ]
    if rows:
        lines += [
            "| Scenario | Objective | Phase | Found | Limit | Verdict |",
            "| --- | --- | --- | ---: | ---: | --- |",
        ]
        lines += [*rows[:_ROWS], ""]
    if len(rows) > _ROWS:
        lines += [f"{len(rows) - _ROWS:,} more rows stand in the report.", ""]
    for scenario in [test for test in words.worst_first(report.scenarios) if not test.good][:_TOLD]:
        said = scenario.message or scenario.reason
        lines += [f"<details><summary>{_code(words.short(scenario.test))}: {scenario.verdict}</summary>", ""]
        lines += [f"<pre>{_escaped(said[:_LONGEST])}</pre>", "", "</details>", ""]
    if report.sabotaged:
        lines += ["| Scenario | Sabotage | Must break | Result |", "| --- | --- | --- | --- |"]
        lines += [
            f"| {_code(words.short(s.test))} | {_code(s.switch)} | "
            f"{_text(s.sabotage.objective if s.sabotage else '–')} | {_verdict(s.verdict)} |"
            for s in words.worst_first(report.sabotaged)
        ]
        lines.append("")
    return "\n".join(lines) + "\n"


def _cells(judged: Judgement, phase: str) -> str:
    """Phase, value with its interval, limit and verdict, between bars."""
    found = f"{words.value(judged)} ({words.interval(judged)})" if judged.interval else words.value(judged)
    return f"{phase} | {_text(found)} | {_text(words.limit(judged))} | {_verdict(judged.outcome)}"


def _escaped(text: str) -> str:
    """A text of several lines in HTML, in which no blank line ends the block and begins Markdown."""
    plain = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return "\n".join(line.rstrip() or "&nbsp;" for line in plain.splitlines())


def _text(text: str) -> str:
    """Markdown that reads as it is written: no markup, no HTML, no new line."""
    flat = " ".join(text.split()).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return "".join("\\" + c if c in "\\`*_[]|#!~@" else c for c in flat)


def _code(text: str) -> str:
    flat = " ".join(text.split()).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return f"<code>{flat.replace('|', '&#124;')}</code>"


def _verdict(word: str) -> str:
    return f"{words.MARKS.get(word, '?')} {_text(word)}"
