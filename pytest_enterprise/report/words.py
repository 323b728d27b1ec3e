"""The words that every form of the report shares: the headline, marks, figures with units, phases."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from pytest_enterprise.claims import Answer
from pytest_enterprise.errors import ConfigurationError
from pytest_enterprise.load import notation
from pytest_enterprise.load.arrivals import from_document
from pytest_enterprise.objectives.text import between, quantity
from pytest_enterprise.report.parts import Fault, Judgement, RunReport, Scenario

MARKS: Mapping[str, str] = {
    "held": "✓", "passed": "✓", "caught": "✓",
    "broken": "✗", "failed": "✗", "error": "✗", "survived": "✗", "wrong": "✗",
    "not judged": "?", "unfinished": "?",
    "no scenario": "–", "skipped": "–",
}  # fmt: skip
"""A sign for each verdict, so that none is told by colour alone."""
TONES: Mapping[str, str] = {"✓": "good", "✗": "bad", "?": "open", "–": "none"}
_STRONGEST = {"broken": 0, "failed": 0, "error": 0, "survived": 0, "wrong": 0, "not judged": 1, "unfinished": 1}


class Headline(NamedTuple):
    """The whole run in one sentence."""

    verdict: str
    """``held``, ``broken`` or ``not judged``."""
    sentence: str


def count(number: int, noun: str) -> str:
    """``1 scenario``, ``2 scenarios``, ``no scenario``."""
    return f"no {noun}" if number == 0 else f"{number:,} {noun}{'s' if number > 1 else ''}"


def headline(report: RunReport) -> Headline:
    """What the run showed, the worst first."""
    if report.sabotaged:
        return _sabotage_headline(report)
    verdicts = Counter(scenario.verdict for scenario in report.scenarios)
    total = len(report.scenarios)
    failed = sum(not test.good for test in report.others)
    unfinished = "" if report.finished else " The run did not end in good order."
    others = f" {count(failed, 'other test').capitalize()} failed." if failed else ""
    if not total:
        return Headline("broken" if failed else "not judged", f"No scenario was run.{others}{unfinished}")
    said = []
    if verdicts["broken"]:
        said.append(f"{verdicts['broken']} of {count(total, 'scenario')} broke")
    if verdicts["not judged"]:
        whole = "" if said else f" of {count(total, 'scenario')}"
        said.append(f"{verdicts['not judged']}{whole} could not be judged")
    if not said:
        said.append("the only scenario held" if total == 1 else f"all {total} scenarios held")
    told = ", ".join(said)
    answers = Counter(answer.answer for answer in report.claims)
    if answers:
        forms: dict[Answer, str] = {
            "broken": "broken",
            "held": "held",
            "not judged": "not judged",
            "no scenario": "without a scenario",
        }
        listed = [f"{answers[answer]} {form}" for answer, form in forms.items() if answers[answer]]
        told += f"; of {count(len(report.claims), 'claim')} {', '.join(listed)}"
    told = told[0].upper() + told[1:] + "."
    verdict = "broken" if verdicts["broken"] or failed else "held"
    if verdict == "held" and (verdicts["not judged"] or not report.finished):
        verdict = "not judged"
    return Headline(verdict, told + others + unfinished)


def _sabotage_headline(report: RunReport) -> Headline:
    total = len(report.sabotaged)
    caught = sum(scenario.verdict == "caught" for scenario in report.sabotaged)
    unfinished = "" if report.finished else " The run did not end in good order."
    if caught == total:
        told = f"Every sabotage was caught ({count(total, 'switch run')}): the scenarios can fail."
        return Headline("held" if report.finished else "not judged", told + unfinished)
    return Headline(
        "broken", f"Of {count(total, 'sabotaged run')}, {total - caught} did not break the objective named.{unfinished}"
    )


def worst_first(scenarios: Sequence[Scenario]) -> list[Scenario]:
    """In the order in which somebody should read them: broken, not judged, held; as run within each."""
    return sorted(scenarios, key=lambda scenario: _STRONGEST.get(scenario.verdict, 2))


def value(judgement: Judgement) -> str:
    """``99.87 %``; a dash where there is none."""
    return "–" if judgement.value is None else quantity(judgement.value, judgement.unit)


def limit(judgement: Judgement) -> str:
    """``≥ 99.5 %``."""
    sign = "≥" if judgement.comparison == ">=" else "≤"
    return "–" if judgement.limit is None else f"{sign} {quantity(judgement.limit, judgement.unit)}"


def interval(judgement: Judgement) -> str:
    """``96.1 % to 98.3 %``, or empty."""
    return between(judgement.interval, judgement.unit) if judgement.interval else ""


def phase(judgement: Judgement, scenario: Scenario) -> str:
    """``during``, or with several faults ``during fault 2``."""
    fault = scenario.fault(judgement.fault)
    return f"{judgement.phase} fault {fault.number}" if fault and len(scenario.faults) > 1 else judgement.phase


def proof(fault: Fault) -> str:
    """What is known of the effect of a fault."""
    if fault.ended_ns is None:
        return "its end was never seen"
    if not fault.acted:
        return "acted on nothing"
    return {
        "acted": "acted",
        "exercised": "exercised",
        "none": "none (nothing was meant to happen)",
        "unproven": "not told by Toxiproxy",
    }.get(fault.proof, fault.proof or "unknown")


def loop(started: Mapping[str, Any]) -> str:
    """What ``load.started`` tells of its loop: ``30 users, closed loop``; ``constant, 100 per second, open loop``."""
    users = started.get("users")
    if started.get("closed_loop") is not False:
        return f"{count(users, 'user') if isinstance(users, int) and users else 'some users'}, closed loop"
    try:
        return f"{notation.words(from_document(started['arrivals']))}, open loop"
    except (ConfigurationError, KeyError, TypeError, ValueError):  # of another version
        return "open loop"


def loops(scenario: Scenario) -> str:
    """Which loops its loads were, to stand behind its name: `` (closed loop)``; empty where it had none."""
    found = sorted({"closed" if load.closed_loop else "open" for load in scenario.loads})
    return f" ({' and '.join(found)} loop)" if found else ""


def fact(name: str, value: Any) -> str:
    """A counter or setting as people read it: ``delayed_ms=1204`` is ``delayed 1,204 ms``."""
    words, _, unit = name.rpartition("_")
    if words and unit in ("ms", "s") and isinstance(value, int | float):
        return f"{words.replace('_', ' ')} {plain(value)} {unit}"
    # A pid or a port is a name, not a quantity.
    shown = str(value) if unit in ("pid", "port") else plain(value)
    return f"{name.replace('_', ' ')} {shown}"


def plain(value: Any) -> str:
    """A value from JSON in a few words."""
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "none"}[value]
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {plain(entry)}" for key, entry in value.items()) or "none"
    if isinstance(value, list | tuple):
        return ", ".join(plain(entry) for entry in value) or "none"
    return str(value)


def seconds(value: float | None) -> str:
    """A duration: ``0.412 s``, ``12.3 s``, ``4 min 10 s``."""
    if value is None:
        return "unknown"
    if value < 10:
        return f"{value:.3f} s"
    if value < 120:
        return f"{value:.1f} s"
    minutes, rest = divmod(round(value), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def by_hand(report: RunReport) -> bool:
    """Whether it was no session of pytest: a stack that ``up`` held, or a load from the command line."""
    return bool(report.command) and Path(report.command[0]).name in ("pytest-enterprise", "cli.py")


def again(report: RunReport, test: str = "") -> str:
    """The command that runs it again."""
    if by_hand(report):
        return shlex.join(["pytest-enterprise", *report.command[1:]])
    if test:
        return command(test, report.seed, report.settings)
    parts = ["pytest", *report.command[1:]]
    if report.seed is not None and not any(part.startswith("--enterprise-seed") for part in parts):
        parts.append(f"--enterprise-seed={report.seed}")
    return shlex.join(parts)


def command(test: str, seed: int | None, settings: Mapping[str, Any]) -> str:
    """The command that runs one test again as it ran."""
    parts = ["pytest", test]
    if seed is not None:
        parts.append(f"--enterprise-seed={seed}")
    runtime = settings.get("runtime")
    if runtime and runtime != "auto":
        parts.append(f"--enterprise-runtime={runtime}")
    if settings.get("sabotage"):
        parts.append("--enterprise-sabotage")
    return shlex.join(parts)


def short(test: str) -> str:
    """A node id without its folders: ``test_replicas.py::test_kill_one_of_three``."""
    file, colons, rest = test.partition("::")
    return file.rpartition("/")[2] + colons + rest
