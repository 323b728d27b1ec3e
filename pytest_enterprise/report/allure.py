"""What Allure shows of a scenario beside its outcome: labels, the verdicts, the faults and the chart."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pytest_enterprise.events import Event
from pytest_enterprise.report import chart, words
from pytest_enterprise.report.model import read_tests
from pytest_enterprise.report.parts import Scenario


def active() -> bool:
    """Whether allure-pytest is recording this session; costs nothing where it is not installed."""
    commons = sys.modules.get("allure_commons")
    return commons is not None and any(
        type(plugin).__name__ == "AllureListener" for plugin in commons.plugin_manager.get_plugins()
    )


def attach(test_events: Sequence[Event], directory: Path) -> bool:
    """Give the running test its labels and attachments; False, and nothing done, when Allure is not active.

    ``test_events`` are those of one run of one test, ``test.started`` first; ``directory`` is the run directory, where
    the records of its loads are. Call it while pytest reports the test's call or teardown.
    """
    if not active() or not test_events:
        return False
    import allure

    dynamic: Any = allure.dynamic  # it has no types

    for scenario in read_tests(directory, test_events):
        for name, values in (("claim", [scenario.claim]), ("suite", [scenario.suite]), ("sabotage", [scenario.switch])):
            for value in filter(None, values):
                dynamic.label(name, value)
        for control in scenario.controls:
            dynamic.label("control", control)
            dynamic.tag(control)
        for control, (_, strength) in scenario.strengths.items():
            dynamic.label(f"control.{strength}", control)
        dynamic.link((directory / "index.html").absolute().as_uri(), name="report of the run")
        if scenario.judgements:
            allure.attach(_verdicts(scenario), "objectives", allure.attachment_type.CSV)
        if scenario.faults:
            events = [event for event in test_events if str(event["kind"]).startswith("fault.")]
            allure.attach(json.dumps(events, indent=2, default=str), "faults", allure.attachment_type.JSON)
        for load in scenario.loads:
            if load.recorded.timeline:
                picture = chart.render(load, scenario.faults, scenario.moments, alone=True)
                allure.attach(picture, load.id, allure.attachment_type.SVG)
    return True


def _verdicts(scenario: Scenario) -> str:
    import csv
    import io

    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(("objective", "phase", "found", "limit", "verdict", "samples", "detail"))
    for judged in scenario.judgements:
        writer.writerow(
            (
                judged.objective,
                words.phase(judged, scenario),
                words.value(judged),
                words.limit(judged),
                judged.outcome,
                judged.samples,
                judged.detail,
            )
        )
    return text.getvalue()
