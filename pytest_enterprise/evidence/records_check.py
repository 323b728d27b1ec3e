"""Whether the records of a run agree with themselves, with what was signed of them, and with the files that they name.

Hashes show that nothing was changed after signing; these checks show that what was signed makes sense.

Part of the single-file verifier: the standard library only.
"""

from __future__ import annotations

import hashlib
import json
import operator
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from pytest_enterprise.evidence.entries import Entry, parse_time
from pytest_enterprise.evidence.notes import Malformed

BROKEN, INCOMPLETE, NOTE = "broken", "incomplete", "note"
"""Something is not what was signed; something is missing or cannot be told; something that a reader should know."""
EVIDENCE_FORMATS = ("pytest-enterprise/evidence/1",)
"""Formats of the records that are read here."""
RECORDS_NAME = "evidence/evidence.jsonl"
_COMPARE: dict[str, Callable[[float, float], bool]] = {
    "<=": operator.le,
    "<": operator.lt,
    ">=": operator.ge,
    ">": operator.gt,
    "==": operator.eq,
}


class Wrong(NamedTuple):
    """Something that is wrong with records."""

    place: str
    text: str
    severity: str = BROKEN


def check_records(directory: Path, entry: Entry) -> Iterator[Wrong]:
    """Everything that is wrong with a run's records."""
    if RECORDS_NAME not in entry.data["subjects"]:
        yield Wrong(RECORDS_NAME, "not signed: the statement names no records")
    try:
        lines = (directory / RECORDS_NAME).read_bytes().splitlines()
    except OSError:
        return  # told already where it is missing
    records: list[tuple[str, dict[str, Any]]] = []
    for number, line in enumerate(lines, 1):
        try:
            record = json.loads(line)
        except (ValueError, RecursionError):
            record = None
        if isinstance(record, dict):
            records.append((f"{RECORDS_NAME}:{number}", record))
        else:
            yield Wrong(f"{RECORDS_NAME}:{number}", "it is no JSON object: cut short or edited")
    if not records or records[0][1].get("kind") != "run":
        yield Wrong(RECORDS_NAME, "its first line is not the record of a run")
        return
    yield from _check_head(directory, *records[0], entry)
    seen = set()
    for place, record in records[1:]:
        named = (record.get("kind"), record.get("node_id"), record.get("switch"))
        if named in seen:
            yield Wrong(place, f"{record.get('node_id')!r} is there twice")
        seen.add(named)
        yield from _check_record(place, record, records[0][1])
        yield from _check_artefacts(directory, place, record)
    yield from _check_verdicts([record for _, record in records[1:]], entry)


def _check_head(directory: Path, place: str, run: Mapping[str, Any], entry: Entry) -> Iterator[Wrong]:
    if run.get("format") not in EVIDENCE_FORMATS:
        yield Wrong(place, f"format {run.get('format')!r} is not known here; {', '.join(EVIDENCE_FORMATS)} is")
    for name in ("run", "began", "commit", "exit_status"):
        if (run.get(name) or "") != (entry.data.get(name) or ""):
            yield Wrong(place, f"{name} is {run.get(name)!r}, and {entry.data.get(name)!r} was signed")
    yield from _check_times(place, run)
    yield from _check_artefacts(directory, place, run)


def _check_times(place: str, record: Mapping[str, Any]) -> Iterator[Wrong]:
    try:
        began, ended = (parse_time(record[name]) if record.get(name) else None for name in ("began", "ended"))
    except Malformed as error:
        yield Wrong(place, str(error))
        return
    if began and ended and ended < began:
        yield Wrong(place, "it ended before it began: a clock was set back, so its times cannot be told", INCOMPLETE)


def _check_record(place: str, record: Mapping[str, Any], run: Mapping[str, Any]) -> Iterator[Wrong]:
    yield from _check_times(place, record)
    if record.get("kind") in ("scenario", "sabotage") and record.get("run") != run.get("run"):
        yield Wrong(place, f"it is of run {record.get('run')!r}")
    for one in record.get("measurements") or ():
        compare = _COMPARE.get(one.get("comparison"))
        value, limit, outcome = one.get("value"), one.get("limit"), one.get("outcome")
        both = isinstance(value, int | float) and isinstance(limit, int | float)
        # The other way round it may be right: an objective can break by more than the value that it names.
        if compare and both and outcome == "held" and not compare(value, limit):
            told = f"{value} {one['comparison']} {limit}, and it says {outcome}"
            yield Wrong(place, f"{one.get('objective')} {one.get('phase')}: {told}")


def _check_artefacts(directory: Path, place: str, record: Mapping[str, Any]) -> Iterator[Wrong]:
    sbom = record.get("sbom")
    for one in [*(record.get("artefacts") or ()), *([sbom] if isinstance(sbom, dict) else [])]:
        name = str(one.get("path"))
        path = directory / name
        if not path.resolve().is_relative_to(directory.resolve()):
            yield Wrong(place, f"artefact {name!r} lies outside the run directory")
        elif not path.is_file():
            yield Wrong(place, f"artefact {name!r} is not here", INCOMPLETE)
        else:
            with path.open("rb") as file:
                hash = hashlib.file_digest(file, "sha256").hexdigest()
            if hash != one.get("sha256"):
                yield Wrong(place, f"artefact {name!r} changed after its hash was taken")


def _check_verdicts(records: list[dict[str, Any]], entry: Entry) -> Iterator[Wrong]:
    signed = {test: verdict for verdict in ("passed", "warned", "failed", "skipped") for test in entry.data[verdict]}
    wanted = {"held": "passed", "not-judged": "warned", "skipped": "skipped"}
    scenarios = [record for record in records if record.get("kind") == "scenario"]
    for record in scenarios:
        test, verdict = str(record.get("node_id")), wanted.get(str(record.get("outcome")), "failed")
        if signed.get(test) != verdict:
            told = f"{test!r} is {record.get('outcome')}, and was signed as {signed.get(test, 'absent')}"
            yield Wrong(RECORDS_NAME, told)
    names = {str(record.get("node_id")) for record in scenarios}
    if any(record.get("kind") == "sabotage" for record in records):
        return
    for test in sorted(set(signed) - names):
        yield Wrong(RECORDS_NAME, f"{test!r} was signed as {signed[test]}, and has no record")
