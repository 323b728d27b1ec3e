"""``index.html`` of a run: one file that needs nothing else, for the screen and for paper, light and dark."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_enterprise.claims import NOT_RUN, ClaimAnswer
from pytest_enterprise.errors import ConfigurationError
from pytest_enterprise.report import chart, comparison, words
from pytest_enterprise.report.model import load_run
from pytest_enterprise.report.parts import Load, RunReport, Scenario
from pytest_enterprise.report.traffic import Around

if TYPE_CHECKING:
    from markupsafe import Markup

_FEW = 8
"""Scenarios up to which all of them are shown unfolded."""
_MANY = 60
"""Scenarios from which on those that held are told briefly."""
_WANTING = {"broken", "failed", "error", "survived", "wrong", "unfinished"}
"""Verdicts that the head of the page tells at once."""
_FEW_UNTRIED = 3
"""Claims that were not tried up to which they stand among the others."""
_INDENT = re.compile(r">\n\s*<")
_OPTIONAL = re.compile(r"</(?:td|th|tr|thead|tbody|li)>")
"""End tags that HTML lets one leave out: a tenth of a large report."""
_TAG = re.compile(r"<[a-z][^<>]*>")
_QUOTED = re.compile(r"""="([\w.#-]+)"(?=[ >])""")
"""Quotes that HTML lets one leave out. What comes from a run has no quote of its own in the page: they are escaped."""
_NAME = "index.html"
_TEMPLATES = Path(__file__).parent / "templates"


def write(directory: Path) -> Path:
    """Make ``index.html`` from a run directory alone and return its path.

    Raises ConfigurationError when Jinja2 is not installed, EnterpriseError when the directory holds no run.
    """
    return write_report(load_run(directory))


def write_report(report: RunReport) -> Path:
    """Make ``index.html`` in the report's directory and return its path."""
    path = report.directory / _NAME
    partial = path.with_suffix(".html.part")
    partial.write_text(render(report), encoding="utf-8", errors="replace")
    partial.replace(path)
    return path


def render(report: RunReport) -> str:
    """The page as text."""
    try:
        from jinja2 import Environment, PackageLoader, StrictUndefined
    except ImportError:
        raise ConfigurationError(
            "the HTML report needs Jinja2, which is not installed: pip install 'pytest-enterprise[report]', then "
            f"pytest-enterprise report {report.directory}"
        ) from None
    environment = Environment(
        loader=PackageLoader("pytest_enterprise.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        seconds=words.seconds, plain=words.plain, value=words.value, limit=words.limit, interval=words.interval,
        proof=words.proof, short=words.short, milliseconds=milliseconds, identity=id,
    )  # fmt: skip
    environment.globals.update(
        compared=_compared,
        figures=comparison.facts,
        chart=_chart,
        around=_around,
        count=words.count,
        phase=words.phase,
        fact=words.fact,
        marks=words.MARKS,
        tones=words.TONES,
    )
    style = (_TEMPLATES / "style.css").read_text(encoding="utf-8")
    page = environment.get_template("index.html.j2").render(
        report=report,
        headline=words.headline(report),
        style=_safe(_squeezed(style + chart.STYLE)),
        shared=_safe(chart.SHARED),
        script=_safe(_script()),
        open=_open(report),
        wanting=_wanting(report),
        untried=_untried(report),
        many=len(report.scenarios) + len(report.sabotaged) > _MANY,
        anchors=_anchors(report),
        again=lambda test="": words.again(report, test),
        answered=_answered(report),
        claims=_claims(report),
        shown=words.worst_first(report.scenarios) + words.worst_first(report.sabotaged),
    )
    body, script, rest = page.partition("<script>")
    body = _TAG.sub(lambda tag: _QUOTED.sub(r"=\1", tag[0]), _OPTIONAL.sub("", _INDENT.sub("><", body)))
    return body + script + rest


def milliseconds(value: float | None) -> str:
    """A latency in ms for tables: three significant digits below 100."""
    if value is None or not math.isfinite(value):
        return "–"
    shown = value * 1e3
    return f"{shown:,.0f}" if shown >= 100 else f"{shown:.1f}" if shown >= 10 else f"{shown:.2f}"


def _safe(text: str) -> Markup:
    from markupsafe import Markup

    return Markup(text)  # noqa: S704 - made by this package; what comes from a run is escaped in it


def _squeezed(style: str) -> str:
    """Without the spaces that only people need."""
    text = re.sub(r"/\*.*?\*/|\s+", " ", style, flags=re.DOTALL)
    return re.sub(r"\s*([{};,])\s*|(?<=:)\s+", r"\1", text).strip()


def _chart(load: Load, scenario: Scenario, cpus: int | None, brief: bool) -> Markup:
    return _safe(chart.render(load, scenario.faults, scenario.moments, cpus=cpus, brief=brief))


def _compared(scenario: Scenario) -> list[tuple[str, list[comparison.Compared], Markup]]:
    """Each comparison with its chart."""
    return [(name, mine, _safe(comparison.render(mine))) for name, mine in comparison.groups(scenario.compared)]


def _around(load: Load, scenario: Scenario) -> list[tuple[str, tuple[Around, ...]]]:
    """What was felt around each fault, told apart by its number where there are several."""
    several = len(scenario.faults) > 1
    named = [(scenario.fault(id), lines) for id, lines in load.recorded.around]
    return [(f"{fault.number} {fault.label}" if several else fault.label, lines) for fault, lines in named if fault]


def _wanting(report: RunReport) -> list[Scenario]:
    """What the head of the page tells at once: what did not hold or made pytest fail, the worst first."""
    tests = words.worst_first([*report.scenarios, *report.sabotaged])
    return [
        test for test in tests if test.verdict in _WANTING or (test.verdict != "caught" and test.outcome == "failed")
    ]


def _untried(report: RunReport) -> list[ClaimAnswer]:
    """Claims whose scenarios were all left out of this run: shown folded, so that they do not hide the others."""
    found = [
        answer
        for answer in report.claims
        if answer.scenarios and all(one.reason == NOT_RUN for one in answer.scenarios)
    ]
    return found if len(found) > _FEW_UNTRIED else []


def _script() -> str:
    """The page's script, without comments and indentation."""
    lines = (_TEMPLATES / "page.js").read_text(encoding="utf-8").splitlines()
    return "\n".join(line for text in lines if (line := text.strip()) and not line.startswith("//"))


def _anchors(report: RunReport) -> dict[int, str]:
    """Where each test stands in the page, by its identity: the same test may have run twice."""
    return {id(test): f"t{number}" for number, test in enumerate(report.tests, 1)}


def _answered(report: RunReport) -> dict[str, Any]:
    """Where the last run of each scenario stands, with and without its parameters."""
    from pytest_enterprise.claims import base

    anchors = _anchors(report)
    found: dict[str, Any] = {}
    for scenario in report.scenarios:
        found[base(scenario.test)] = found[scenario.test] = anchors[id(scenario)]
    return found


def _claims(report: RunReport) -> list[ClaimAnswer]:
    """The worst first; below them those that this run did not ask about, which are most when a few scenarios ran."""
    ran = _answered(report)
    order = ("broken", "not judged", "held", "no scenario")

    def place(answer: ClaimAnswer) -> tuple[bool, int]:
        return not any(told.scenario in ran for told in answer.scenarios), order.index(answer.answer)

    return sorted(report.claims, key=place)


def _open(report: RunReport) -> set[int]:
    """The runs that are shown unfolded: all where they are few, else those that did not hold, up to a screenful."""
    tests = [*report.scenarios, *report.sabotaged]
    if len(tests) <= _FEW:
        return {id(test) for test in tests}
    return {id(test) for test in words.worst_first([test for test in tests if not test.good])[:_FEW]}
