"""Assessment results and plan of action: an observation for each scenario, a finding for each control.

Both are written entry by entry, so that ten thousand scenarios need little memory.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from pytest_enterprise.evidence import canonical
from pytest_enterprise.evidence.attempts import FAILED, Record
from pytest_enterprise.evidence.oscal.parts import Base, Json, line, of_file, prop
from pytest_enterprise.evidence.records import Evidence

CONCLUDES = (
    "A test supports a control with a strength; it is no statement that the control is met over a period, or at all: "
    "that an auditor concludes."
)


@dataclass
class _Seen:
    """What was seen of one control."""

    observations: list[str] = field(default_factory=list)
    strengths: set[str] = field(default_factory=set)
    outcomes: dict[str, int] = field(default_factory=dict)


def write(base: Base, evidence: Evidence, folder: Path) -> None:
    """Write ``assessment-results.json`` and ``poam.json``."""
    directory = evidence.path.parent.parent
    own = base.resource(of_file(directory, evidence.path), "The records of the run")
    shared = [own, *(base.resource(entry, entry["path"]) for entry in base.run["artefacts"])]
    if base.run["sbom"]:
        shared.append(base.resource(base.run["sbom"], "What was installed"))
    resources = [canonical.line(entry) for entry in shared]
    needed, observations, failed, items, risks = (
        [canonical.line(own)],
        list[str](),
        list[str](),
        list[str](),
        list[str](),
    )
    seen = {id: _Seen() for id in base.used}
    referred = {entry["uuid"] for entry in shared}
    for scenario in evidence.scenarios():
        if scenario["kind"] != "scenario":
            continue
        found = canonical.line(_observation(base, scenario, own["uuid"]))
        observations.append(found)
        uuid = _uuid(base, scenario)
        for control in scenario["controls"]:
            if control["id"] in seen:
                mine = seen[control["id"]]
                mine.outcomes[scenario["outcome"]] = mine.outcomes.get(scenario["outcome"], 0) + 1
                mine.observations.append(uuid)
                mine.strengths.add(control["strength"])
        bad = scenario["outcome"] in FAILED
        if bad:
            failed.append(found)
            items.append(canonical.line(_item(base, scenario)))
            if scenario["waiver"]:
                risks.append(canonical.line(_risk(base, scenario)))
        for entry in scenario["artefacts"]:
            resource = base.resource(entry, entry["path"])
            if resource["uuid"] not in referred:
                referred.add(resource["uuid"])
                resources.append(canonical.line(resource))
                if bad:
                    needed.append(resources[-1])
    findings = [canonical.line(finding) for id, mine in seen.items() if (finding := _finding(base, id, mine))]
    document = _results(base, observations=bool(observations), findings=bool(findings))
    parts: dict[str, Iterable[str]] = {"observations": observations, "findings": findings, "resources": resources}
    _write(folder / "assessment-results.json", document, parts)
    document = _poam(base, observations=bool(failed), risks=bool(risks))
    parts = {
        "observations": failed,
        "risks": risks,
        "items": items or [canonical.line(_nothing(base))],
        "resources": needed,
    }
    _write(folder / "poam.json", document, parts)


def _write(path: Path, document: Json, parts: dict[str, Iterable[str]]) -> None:
    """A list that may not be empty is left out of the document, and here as well."""
    canonical.write(path, canonical.streamed(document, **{name: part for name, part in parts.items() if part}))


def _results(base: Base, *, observations: bool, findings: bool) -> Json:
    run = base.run
    told = {
        "commit": run["commit"] or "unknown",
        "work-tree": {True: "clean", False: "changed", None: "unknown"}[run["clean"]],
        "environment": run["environment"]["name"],
        "outcome": run["outcome"],
        "seed": "unknown" if run["seed"] is None else run["seed"],
    }
    result: Json = {
        "uuid": base.uuid("result"),
        "title": line(f"Run {run['run']}"),
        "description": f"Scenarios that were run in the environment: {line(run['environment']['name'])}. {CONCLUDES}",
        "start": base.began,
        "end": base.ended,
        "props": [prop(name, value) for name, value in told.items()],
        "reviewed-controls": base.reviewed(),
    }
    result |= {"observations": {"@": "observations"}} if observations else {}
    result |= {"findings": {"@": "findings"}} if findings else {}
    return {
        "assessment-results": {
            "uuid": base.uuid("assessment-results"),
            "metadata": base.metadata("Assessment results of a run"),
            "import-ap": {"href": "assessment-plan.json"},
            "results": [result],
            "back-matter": {"resources": {"@": "resources"}},
        }
    }


def _uuid(base: Base, scenario: Record) -> str:
    return base.uuid("observation", scenario["node_id"])


def _observation(base: Base, scenario: Record, record: str) -> Json:
    claim = scenario["claim"]
    about = (claim and claim["text"]) or scenario["title"] or "A scenario that proves no claim."
    props = [prop("node-id", scenario["node_id"]), prop("outcome", scenario["outcome"])]
    if claim:
        props.append(prop("claim", claim["id"]))
    props += [prop("control", one["id"], cls=one["strength"], remarks=f"kind of test: {one['kind'] or 'not stated'}")
              for one in scenario["controls"]]  # fmt: skip
    props += [prop("measurement", _told(one), remarks=canonical.line(one)) for one in scenario["measurements"]]
    props += [prop("fault", f"{one['kind']} {one['target']}: {_proof(one)}") for one in scenario["faults"]]
    props += [prop("load", f"{one['id']}: {one['loop']} loop, {one['requests']} requests") for one in scenario["loads"]]
    if len(scenario["attempts"]) > 1:
        outcomes = ", ".join(one["outcome"] for one in scenario["attempts"])
        props.append(prop("attempts", outcomes, cls="flaky" if scenario["flaky"] else ""))
    return {
        "uuid": _uuid(base, scenario),
        "title": line(scenario["node_id"]),
        "description": line(about),
        "props": props,
        "methods": ["TEST"],
        "types": ["control-objective"],
        "subjects": [{"subject-uuid": base.system, "type": "component"}],
        "collected": scenario["ended"] or scenario["began"] or base.began,
        "relevant-evidence": [
            {"href": f"#{record}", "description": "The record of this scenario, with every measurement."},
            *(
                {"href": f"#{base.uuid('file', entry['path'])}", "description": line(entry["path"])}
                for entry in scenario["artefacts"]
            ),
        ],
        "remarks": line(f"Run again: {scenario['again']}"),
    }


def _told(measurement: Record) -> str:
    value, limit = measurement["value"], measurement["limit"]
    interval = measurement["interval"]
    between = f", 95 % interval {interval[0]} to {interval[1]}" if interval else ""
    found = f"{value} {measurement['unit']} {measurement['comparison']} {limit}: {measurement['outcome']}"
    where = f"{measurement['objective']} ({measurement['phase']})"
    return f"{where}: {found}{between}, {measurement['samples']} samples"


def _proof(fault: Record) -> str:
    return f"{fault['proof'] or 'its end was never seen'}, {'acted' if fault['acted'] else 'acted on nothing'}"


def _finding(base: Base, id: str, seen: _Seen) -> Json | None:
    """What the scenarios say of a control; None where all support it contextually only, or there were none."""
    if not seen.observations or seen.strengths == {"contextual"}:
        return None
    good = set(seen.outcomes) == {"held"}
    status = {"state": "satisfied" if good else "not-satisfied"}
    if not good:
        status["reason"] = "fail" if set(seen.outcomes) & set(FAILED) else "other"
    name = base.tokens[id]
    strengths = ", ".join(sorted(seen.strengths))
    counted = ", ".join(f"{count} {outcome}" for outcome, count in sorted(seen.outcomes.items()))
    return {
        "uuid": base.uuid("finding", id),
        "title": line(f"{id}: what tests showed"),
        "description": f"Scenarios that support {line(id)} ({strengths}): {counted}. {CONCLUDES}",
        "props": [prop("citation", id), *(prop("strength", strength) for strength in sorted(seen.strengths))],
        "target": {"type": "objective-id", "target-id": f"{name}_obj", "status": status},
        "related-observations": [{"observation-uuid": uuid} for uuid in seen.observations],
    }


def _poam(base: Base, *, observations: bool, risks: bool) -> Json:
    document: Json = {
        "uuid": base.uuid("poam"),
        "metadata": base.metadata("Plan of action and milestones after a run"),
        "import-ssp": {"href": "ssp.json"},
        "system-id": {"identifier-type": "https://ietf.org/rfc/rfc4122", "id": base.uuid("system")},
        "poam-items": {"@": "items"},
        "back-matter": {"resources": {"@": "resources"}},
    }
    document |= {"observations": {"@": "observations"}} if observations else {}
    document |= {"risks": {"@": "risks"}} if risks else {}
    return {"plan-of-action-and-milestones": document}


def _item(base: Base, scenario: Record) -> Json:
    made: Json = {
        "uuid": base.uuid("poam-item", scenario["node_id"]),
        "title": line(f"{scenario['node_id']}: {scenario['outcome']}"),
        "description": line(scenario["reason"], "No reason was given."),
        "props": [prop("status", "waived" if scenario["waiver"] else "open")],
        "related-observations": [{"observation-uuid": _uuid(base, scenario)}],
    }
    if scenario["waiver"]:
        made["related-risks"] = [{"risk-uuid": base.uuid("risk", scenario["node_id"])}]
    return made


def _risk(base: Base, scenario: Record) -> Json:
    """A failure that somebody accepted for a while; it stays a failure."""
    waiver = scenario["waiver"]
    return {
        "uuid": base.uuid("risk", scenario["node_id"]),
        "title": line(f"Accepted for a while: {scenario['node_id']}"),
        "description": line(scenario["reason"], "No reason was given."),
        "statement": line(waiver["reason"]),
        "props": [prop("owner", waiver["owner"]), prop("approver", waiver["approver"])],
        "status": "deviation-approved",
        "deadline": f"{waiver['expires']}T23:59:59Z",
        "related-observations": [{"observation-uuid": _uuid(base, scenario)}],
    }


def _nothing(base: Base) -> Json:
    """The one entry of a plan with nothing to do: OSCAL allows no empty list."""
    return {
        "uuid": base.uuid("poam-item", "nothing"),
        "title": "Nothing is open",
        "description": "No scenario of this run failed, so there is nothing to act on.",
        "props": [prop("status", "closed")],
    }
