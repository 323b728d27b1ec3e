"""Everything below ``evidence/`` of one run, made from its run directory alone."""

from __future__ import annotations

from pathlib import Path

from pytest_enterprise.evidence import auditor, hdf, oscal, pages, records, sbom, table


def write(directory: Path) -> list[Path]:
    """Write evidence.jsonl, OSCAL, HDF, CSV and, with Jinja2, the auditor's page; their paths and that of the SBOM.

    The same run directory gives the same bytes, on any machine. Raises EnterpriseError when there is nothing of a run
    in it, OSError when there is no room.
    """
    evidence = records.write(directory)
    bill = directory / "evidence" / sbom.NAME
    made = [evidence.path, *oscal.write(evidence), hdf.write(evidence), table.write(evidence)]
    if pages.available():
        made.append(auditor.write(evidence))
    return [*made, bill] if bill.is_file() else made


def signed(directory: Path) -> bool:
    """Whether the evidence of a run was signed: made again by another version, it may not be what was signed."""
    return (directory / "evidence" / "attestation.json").exists()
