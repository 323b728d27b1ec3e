"""``evidence/auditor.html``: what one run has for each control, for whoever has to conclude from it.

Control by control, the scenarios that support it and how strongly; scenario by scenario, what was measured against
which limit, which faults acted and how it is run again; what was excepted; what is missing; and how to verify.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pytest_enterprise.errors import ConfigurationError
from pytest_enterprise.evidence import canonical, capture, pages
from pytest_enterprise.evidence.attempts import WORST, Record
from pytest_enterprise.evidence.frameworks import STRENGTHS, Control, Framework, Frameworks
from pytest_enterprise.evidence.records import Evidence

NAME = "auditor.html"
_LISTED = 12
"""Scenarios that did not hold, as many as are named at the top."""


@dataclass
class Supported:
    """A control with the scenarios of the run that support it."""

    control: Control
    scenarios: list[tuple[int, str, str, str]] = field(default_factory=list)
    """Number of the scenario in the page, node id, outcome and strength, in the order of the run."""

    @property
    def strength(self) -> str:
        """The strongest of its scenarios."""
        return min((strength for *_, strength in self.scenarios), key=STRENGTHS.index)

    @property
    def outcome(self) -> str:
        """The worst of its scenarios."""
        return min((outcome for _, _, outcome, _ in self.scenarios), key=WORST.index)


@dataclass
class Part:
    """A framework as a run touched it."""

    framework: Framework
    controls: dict[str, Supported] = field(default_factory=dict)

    @property
    def lacking(self) -> list[Control]:
        """Controls that a technical test can support, and no scenario of this run does."""
        return [one for one in self.framework.controls.values() if one.strengths and one.name not in self.controls]

    @property
    def beyond(self) -> int:
        """How many controls no technical test can support."""
        return sum(not one.strengths for one in self.framework.controls.values())


def write(evidence: Evidence) -> Path:
    """Write ``auditor.html`` beside ``evidence.jsonl``. Raises ConfigurationError when Jinja2 is not installed."""
    path = evidence.path.with_name(NAME)
    canonical.write(path, _page(evidence, capture.own_frameworks(evidence.path.parents[1])))
    return path


def _page(evidence: Evidence, frameworks: Frameworks) -> Iterator[str]:
    parts: dict[str, Part] = {}
    failed: list[tuple[int, Record]] = []
    failures = 0
    any_sabotage = False
    for number, record in _numbered(evidence):
        _support(parts, frameworks, number, record)
        any_sabotage |= record["kind"] == "sabotage"
        if record["kind"] == "scenario" and record["outcome"] != "held":
            failures += 1
            if failures <= _LISTED:
                failed.append((number, record))
    parts = _in_order(parts)
    controls = [one for part in parts.values() for one in part.controls.values()]
    return pages.render(
        "auditor.html.j2",
        run=evidence.run,
        parts=list(parts.values()),
        total=len(controls),
        held=sum(one.outcome == "held" for one in controls),
        sabotaged=any_sabotage and not controls,
        scenarios=_numbered(evidence),
        failed=failed,
        failures=failures,
    )


def _numbered(evidence: Evidence) -> Iterator[tuple[int, Record]]:
    return enumerate(evidence.scenarios(), 1)


def _support(parts: dict[str, Part], frameworks: Frameworks, number: int, record: Record) -> None:
    """Note a scenario beside each control that it supports."""
    for told in record["controls"]:
        try:
            control = frameworks.find(told["id"])
        except ConfigurationError:  # of a framework that is not here any more: evidence.jsonl still names it
            continue
        part = parts.setdefault(control.framework, Part(frameworks.framework(control.framework)))
        entry = part.controls.setdefault(control.name, Supported(control))
        entry.scenarios.append((number, record["node_id"], record["outcome"], told["strength"]))


def _in_order(parts: Mapping[str, Part]) -> dict[str, Part]:
    """The frameworks that the run used, each with its controls in the order of the framework."""
    for part in parts.values():
        order = {name: place for place, name in enumerate(part.framework.controls)}
        last = len(order)
        found = sorted(part.controls.items(), key=lambda one: (order.get(one[0].partition("(")[0], last), one[0]))
        part.controls = dict(found)
    return dict(sorted(parts.items()))
