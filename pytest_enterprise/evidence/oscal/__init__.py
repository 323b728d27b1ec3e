"""OSCAL: catalogue, profile, system security plan, assessment plan, assessment results and plan of action.

Plain dictionaries, UUIDs of version 5 from the run, so that the same run gives the same bytes. Everything that a tool
may follow from the results is there: each document imports the one before it.
"""

from __future__ import annotations

from pathlib import Path

from pytest_enterprise.evidence import canonical
from pytest_enterprise.evidence.oscal import assessment, plans
from pytest_enterprise.evidence.oscal.parts import Base
from pytest_enterprise.evidence.records import Evidence

FILES = ("catalog", "profile", "ssp", "assessment-plan", "assessment-results", "poam")


def write(evidence: Evidence) -> list[Path]:
    """Write ``evidence/oscal/*.json`` beside ``evidence.jsonl``; nothing where no test of the run names a control.

    OSCAL can say nothing of tests that support no control.
    """
    base = Base.of(evidence)
    if not base.used:
        return []
    folder = evidence.path.parent / "oscal"
    for name, document in (
        ("catalog", plans.catalog(base)),
        ("profile", plans.profile(base)),
        ("ssp", plans.system_security_plan(base)),
        ("assessment-plan", plans.assessment_plan(base)),
    ):
        canonical.write(folder / f"{name}.json", canonical.pretty(document))
    assessment.write(base, evidence, folder)
    return [folder / f"{name}.json" for name in FILES]
