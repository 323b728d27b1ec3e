"""Everything below ``evidence/`` of one run, made from its run directory alone."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pytest_enterprise.evidence import auditor, hdf, oscal, pages, records, sbom, table


def write(directory: Path) -> list[Path]:
    """Write evidence.jsonl, OSCAL, HDF, CSV and, with Jinja2, the auditor's page; their paths and that of the SBOM.

    The same run directory gives the same bytes, on any machine. Raises EnterpriseError when there is nothing of a run
    in it, OSError when there is no room.
    """
    with _no_collection():
        evidence = records.write(directory)
        made = [evidence.path, *oscal.write(evidence), hdf.write(evidence), table.write(evidence)]
        if pages.available():
            made.append(auditor.write(evidence))
    bill = directory / "evidence" / sbom.NAME
    return [*made, bill] if bill.is_file() else made


@contextmanager
def _no_collection() -> Iterator[None]:
    """Records are many and make no cycles: to look for some again and again takes a fifth of the time."""
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.enable()


def signed(directory: Path) -> bool:
    """Whether the evidence of a run was signed: made again by another version, it may not be what was signed."""
    return (directory / "evidence" / "attestation.json").exists()
