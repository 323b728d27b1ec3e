"""``evidence.csv``: a row for each measurement, for spreadsheets; a text can never be taken for a formula."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pytest_enterprise.evidence import canonical
from pytest_enterprise.evidence.attempts import Record
from pytest_enterprise.evidence.records import Evidence

COLUMNS = (
    "run", "environment", "commit", "clean", "began", "ended", "kind", "test", "claim", "controls", "outcome", "flaky",
    "waived until", "objective", "phase", "fault", "value", "unit", "comparison", "limit", "low", "high", "samples",
    "verdict", "attempt", "detail",
)  # fmt: skip


def write(evidence: Evidence) -> Path:
    """Write ``evidence/evidence.csv`` beside ``evidence.jsonl``."""
    path = evidence.path.with_name("evidence.csv")
    canonical.write(path, _lines(evidence))
    return path


def _lines(evidence: Evidence) -> Iterator[str]:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    for scenario in evidence.scenarios():
        writer.writerows([_cell(value) for value in row] for row in _rows(evidence.run, scenario))
        yield text.getvalue()
        text.seek(0)
        text.truncate()
    yield text.getvalue()


def _rows(run: Record, scenario: Record) -> Iterator[list[Any]]:
    controls = "; ".join(f"{one['id']} ({one['strength']})" for one in scenario["controls"])
    common = [run["run"], run["environment"]["name"], run["commit"], run["clean"], scenario["began"], scenario["ended"]]
    common += [scenario["kind"], scenario["node_id"], (scenario["claim"] or {}).get("id", ""), controls]
    common += [scenario["outcome"], scenario["flaky"], (scenario["waiver"] or {}).get("expires", "")]
    if not scenario["measurements"]:
        yield [*common, *[""] * 12, scenario["reason"]]
    for one in scenario["measurements"]:
        low, high = one["interval"] or ("", "")
        told = [
            one["objective"],
            one["phase"],
            one["fault"],
            one["value"],
            one["unit"],
            one["comparison"],
            one["limit"],
        ]
        yield [*common, *told, low, high, one["samples"], one["outcome"], one["attempt"], one["detail"]]


def _cell(value: Any) -> Any:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if not isinstance(value, str):
        return value
    text = value.replace("\0", "�")
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r", "\n") else text
