"""The runs of a ledger with their records, as far as those are what was signed; in order of time."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from pytest_enterprise.evidence.checks import KeptLedger, file_hash
from pytest_enterprise.evidence.entries import Entry, parse_time
from pytest_enterprise.evidence.records_check import RECORDS_NAME

Record = Mapping[str, Any]


class Recorded(NamedTuple):
    """One run that ended, with what it recorded."""

    id: str
    began: datetime
    entry: Entry
    run: Record
    scenarios: tuple[Record, ...]
    """None of a run that was broken on purpose: such a run supports nothing."""


def read(kept: KeptLedger, runs: Path) -> tuple[list[Recorded], list[str]]:
    """The runs, and a line for each whose records are not here, or not those that were signed: those are left out."""
    found, notes = [], []
    for entry in kept.entries:
        if entry.kind != "run" or entry.data.get("mode") == "sabotage":
            continue
        id = entry.data["run"]
        path = runs / id / RECORDS_NAME
        try:
            if file_hash(path) != entry.data["subjects"].get(RECORDS_NAME):
                notes.append(f"run {id}: its records are not those that were signed, and are left out; see verify")
                continue
            run, *others = [json.loads(line) for line in path.read_bytes().splitlines()]
        except (OSError, ValueError):
            notes.append(f"run {id}: its records are not here or cannot be read, and are left out")
            continue
        scenarios = tuple(one for one in others if one.get("kind") == "scenario")
        found.append(Recorded(id, parse_time(entry.data["began"]), entry, run, scenarios))
    return sorted(found, key=lambda one: one.began), notes


def series(history: Sequence[Recorded]) -> dict[tuple[str, str], list[tuple[datetime, Record]]]:
    """Each measurement of each scenario over time; the key is the node id and :func:`measurements`'s."""
    found: dict[tuple[str, str], list[tuple[datetime, Record]]] = {}
    for recorded in history:
        for scenario in recorded.scenarios:
            for name, measurement in measurements(scenario).items():
                found.setdefault((str(scenario["node_id"]), name), []).append((recorded.began, measurement))
    return found


def measurements(scenario: Record) -> dict[str, Record]:
    """The measurements of the last attempt by a name that means the same in every run.

    Faults are numbered anew in every run, so the name has what a fault was.
    """
    faults = {
        (one.get("attempt"), one.get("id")): f"{one.get('kind')} {one.get('target')}"
        for one in scenario.get("faults", ())
    }
    last = max((one.get("attempt") or 1 for one in scenario["measurements"]), default=1)
    found: dict[str, Record] = {}
    for one in scenario["measurements"]:
        if (one.get("attempt") or 1) != last:
            continue
        fault = faults.get((one.get("attempt"), one.get("fault")), "")
        name = f"{one.get('objective')} {one.get('phase')}" + (f" {fault}" if fault else "")
        number = 2
        while name in found:
            name, number = f"{name.partition(' #')[0]} #{number}", number + 1
        found[name] = one
    return found
