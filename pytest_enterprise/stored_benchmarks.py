"""pytest-benchmark's stored runs as a baseline: a benchmark fails by ratio and significance, not by a bare number."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from pytest_enterprise.errors import ConfigurationError, nearest
from pytest_enterprise.objectives.comparison import Compared
from pytest_enterprise.objectives.metrics import Metric
from pytest_enterprise.objectives.runs import compare_run

FIELDS = ("min", "median", "mean", "q1", "q3", "max")
_NOTE = "enterprise_regressions"
"""The key under which a stored run names those of its benchmarks that were regressions."""


class Rule(NamedTuple):
    """Which figure of a benchmark may grow by how much."""

    field: str
    margin: float


def parse_rule(text: str, source: str) -> Rule:
    """``3%`` or ``min:3%``. Raises ConfigurationError."""
    found = re.fullmatch(r"(?:(\w+):)?(\d+(?:\.\d+)?)\s*%", text.strip())
    if not found:
        raise ConfigurationError(f"{source}: {text!r} is not of the form 3% or FIELD:3%")
    field = found[1] or "median"
    if field not in FIELDS:
        raise ConfigurationError(f"{source}: {field!r} is no figure of a benchmark. {nearest(field, FIELDS)}")
    return Rule(field, float(found[2]) / 100)


def judge(
    current: Mapping[str, float],
    stored: Iterable[Mapping[str, Any]],
    rule: Rule,
    *,
    machine: Mapping[str, Any],
) -> list[Compared]:
    """The verdicts on benchmarks (full name to seconds) by the documents of runs that pytest-benchmark stored.

    Runs on another processor are left out, and of a run those of its benchmarks that were regressions.
    """
    documents = [one for one in stored if _processor(one.get("machine_info", {})) == _processor(machine)]
    metric = Metric(name=rule.field)
    return [
        compare_run(
            value,
            _earlier(name, documents, rule.field),
            metric,
            endpoint=name,
            margin=rule.margin,
            among=len(current),
        )
        for name, value in current.items()
        if value > 0
    ]


def note_regressions(document: dict[str, Any], results: Sequence[Compared]) -> None:
    """Write into a run's document what was a regression, before it is stored."""
    found = [result.endpoint for result in results if result.outcome == "regression"]
    if found:
        document[_NOTE] = found


def _earlier(name: str, documents: Sequence[Mapping[str, Any]], field: str) -> list[float]:
    return [
        float(benchmark["stats"][field])
        for document in documents
        if name not in document.get(_NOTE, ())
        for benchmark in document.get("benchmarks", ())
        if benchmark.get("fullname") == name and benchmark.get("stats", {}).get(field, 0) > 0
    ]


def _processor(machine: Mapping[str, Any]) -> tuple[Any, Any]:
    cpu = machine.get("cpu") or {}
    return cpu.get("brand_raw"), cpu.get("count")


def lines(results: Sequence[Compared], rule: Rule) -> list[str]:
    """The verdicts in words, the worst first."""
    order = ("regression", "not decided", "improved", "no change")
    told = []
    for result in sorted(results, key=lambda one: order.index(one.outcome)):
        ratio = "" if result.ratio is None else f" {result.ratio:.3f} times"
        interval = "" if result.interval is None else f" ({result.interval[0]:.3f} to {result.interval[1]:.3f})"
        told.append(f"{result.outcome}: {rule.field} of {result.endpoint}{ratio}{interval}: {result.detail}")
    if any("earlier runs," in result.detail for result in results):
        told.append("store runs with --benchmark-autosave (or --benchmark-save=NAME) until there are enough")
    return told
