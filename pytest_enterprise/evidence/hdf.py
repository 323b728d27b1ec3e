"""``hdf.json``: the run in Heimdall Data Format (``exec-json``), for MITRE's tools: a control for each scenario."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from pytest_enterprise.evidence import canonical
from pytest_enterprise.evidence.attempts import Record
from pytest_enterprise.evidence.records import Evidence

_STATUS = {"held": "passed", "broken": "failed", "not-judged": "skipped", "caught": "passed"}
_OF_SCENARIO = {"error": "error", "skipped": "skipped", "not-judged": "skipped", "unfinished": "error"}
_IMPACT = {"direct": 0.7, "partial": 0.5, "contextual": 0.3}


def write(evidence: Evidence) -> Path:
    """Write ``evidence/hdf.json`` beside ``evidence.jsonl``."""
    run = evidence.run
    seconds = 0.0
    controls = []
    for scenario in evidence.scenarios():
        if scenario["kind"] == "scenario":
            seconds += scenario["seconds"] or 0.0
            controls.append(canonical.line(_control(scenario)))
    document: dict[str, Any] = {
        "platform": {"name": "pytest-enterprise", "release": run["version"], "target_id": run["environment"]["name"]},
        "version": run["version"],
        "statistics": {"duration": round(seconds, 3)},
        "profiles": [
            {
                "name": "pytest-enterprise",
                "version": run["version"],
                "title": f"Scenarios of run {run['run']}",
                "summary": f"Environment: {run['environment']['name']}. Tests support controls; an auditor concludes.",
                "sha256": hashlib.sha256(canonical.line(run["frameworks"]).encode()).hexdigest(),
                "supports": [],
                "attributes": [],
                "groups": [],
                "status": "loaded",
                "controls": {"@": "controls"},
            }
        ],
    }
    path = evidence.path.with_name("hdf.json")
    canonical.write(path, canonical.streamed(document, controls=controls))
    return path


def _control(scenario: Record) -> dict[str, Any]:
    claim = scenario["claim"] or {}
    about = claim.get("text") or scenario["title"] or scenario["node_id"]
    controls = scenario["controls"]
    told = "\n".join(f"{one['id']}: {one['strength']}" for one in controls)
    file = scenario["node_id"].partition("::")[0]
    made: dict[str, Any] = {
        "id": scenario["node_id"],
        "title": about,
        "desc": about,
        "descriptions": [{"label": "controls", "data": told}, {"label": "again", "data": scenario["again"]}],
        "impact": max((_IMPACT[one["strength"]] for one in controls), default=0.0),
        "refs": [],
        "tags": {
            "nist": [one["id"].partition(":")[2] for one in controls if one["id"].startswith("NIST80053:")],
            "controls": [one["id"] for one in controls],
            "claim": claim.get("id", ""),
            "flaky": scenario["flaky"],
        },
        "code": "",
        "source_location": {"ref": file, "line": 0},
        "results": _results(scenario),
    }
    if waiver := scenario["waiver"]:
        made["waiver_data"] = {
            "expiration_date": waiver["expires"],
            "justification": f"{waiver['reason']} (owner: {waiver['owner']}, approver: {waiver['approver']})",
            "run": True,
            "skipped_due_to_waiver": False,
            "message": "",
        }
    return made


def _results(scenario: Record) -> list[dict[str, Any]]:
    """One for each measurement, and one for the scenario where no measurement says what became of it."""
    began = scenario["began"] or "1970-01-01T00:00:00Z"
    results: list[dict[str, Any]] = []
    for one in scenario["measurements"]:
        status = _STATUS.get(one["outcome"], "skipped")
        told = f"{one['value']} {one['unit']}, limit {one['comparison']} {one['limit']}, {one['samples']} samples"
        results.append(_result(status, f"{one['objective']} ({one['phase']}): {told}", began, one["detail"]))
    worst = {"failed": "broken", "error": "error"}
    said = {worst.get(result["status"]) for result in results}
    outcome = scenario["outcome"]
    if not results or (outcome != "held" and outcome not in said):
        status = _OF_SCENARIO.get(outcome) or _STATUS.get(outcome, "error")
        results.append(_result(status, f"the scenario: {outcome}", began, scenario["reason"]))
    results[0]["run_time"] = scenario["seconds"] or 0.0
    return results


def _result(status: str, what: str, began: str, message: str) -> dict[str, Any]:
    result: dict[str, Any] = {"status": status, "code_desc": what, "start_time": began}
    return result | ({"skip_message" if status == "skipped" else "message": message} if message else {})
