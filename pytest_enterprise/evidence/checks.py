"""What is wrong with a run's evidence and with a ledger: every check of ``verify``, each finding with its place.

Part of the single-file verifier: the standard library and ``cryptography`` only.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from pytest_enterprise.evidence.dsse import canonical
from pytest_enterprise.evidence.entries import (
    ATTESTATION,
    CHECKPOINT,
    ENTRIES,
    INCLUSION,
    LEDGER_FORMAT,
    Entry,
    format_time,
    origin_of,
    parse_entry,
    runs,
    split,
)
from pytest_enterprise.evidence.merkle import Tree, includes, leaf_hash
from pytest_enterprise.evidence.notes import Checkpoint, Malformed, parse_checkpoint, signed_by
from pytest_enterprise.evidence.oscal.checks import folder as oscal_problems
from pytest_enterprise.evidence.period import counts, schedules, slots
from pytest_enterprise.evidence.records_check import BROKEN, INCOMPLETE, NOTE, check_records

_SHOWN = 20
"""Unrecorded slots that are told one by one."""


class Finding(NamedTuple):
    """One line of the result."""

    severity: str
    place: str
    text: str


class KeptLedger(NamedTuple):
    """A ledger as it was found."""

    lines: list[bytes]
    entries: list[Entry]
    """Those whose signature holds."""
    tree: Tree

    def entry_of(self, run: str) -> Entry | None:
        """The statement on a run."""
        return next((entry for entry in self.entries if entry.kind == "run" and entry.data["run"] == run), None)


def key_fingerprint(public: bytes) -> str:
    """What stands for a key where people compare it."""
    return "SHA256:" + hashlib.sha256(public).hexdigest()


def read_ledger(directory: Path) -> tuple[KeptLedger, list[Finding]]:
    """A ledger's entries, with what is wrong with single ones."""
    lines, rest = split((directory / ENTRIES).read_bytes())
    entries, found = [], []
    seen: dict[bytes, int] = {}
    for number, line in enumerate(lines):
        place = f"{ENTRIES}:{number + 1}"
        if line in seen:
            found.append(Finding(BROKEN, place, f"the same as line {seen[line] + 1}: it was put in again"))
        seen.setdefault(line, number)
        try:
            entries.append(parse_entry(number, line))
        except Malformed as error:
            found.append(Finding(BROKEN, place, str(error)))
    if rest:
        found.append(Finding(INCOMPLETE, f"{ENTRIES}:{len(lines) + 1}", "an append was cut short here; it is no entry"))
    return KeptLedger(lines, entries, Tree(map(leaf_hash, lines))), found


def check_log(directory: Path, kept: KeptLedger, earlier: bytes | None) -> Iterator[Finding]:
    """Whether the entries are those that were signed for, now and at an earlier checkpoint."""
    try:
        last = parse_checkpoint((directory / CHECKPOINT).read_bytes())
    except FileNotFoundError:
        yield Finding(BROKEN, CHECKPOINT, "there is none, so nothing says which entries there were")
    except Malformed as error:
        yield Finding(BROKEN, CHECKPOINT, str(error))
    else:
        yield from _check_checkpoint(last, CHECKPOINT, kept)
        if last.size < len(kept.lines):
            text = f"{len(kept.lines) - last.size} entries follow it, which it does not cover"
            yield Finding(INCOMPLETE, CHECKPOINT, text)
    if earlier is None:
        yield Finding(NOTE, CHECKPOINT, "rollback not excluded: no earlier checkpoint was given (--checkpoint)")
    else:
        try:
            yield from _check_checkpoint(parse_checkpoint(earlier), "earlier checkpoint", kept)
        except Malformed as error:
            yield Finding(BROKEN, "earlier checkpoint", str(error))
    for above, entry in zip(kept.entries, kept.entries[1:], strict=False):
        if entry.at < above.at:
            text = f"dated {format_time(entry.at)}, before the line above it: a clock was set back"
            yield Finding(INCOMPLETE, entry.place, text)


def _check_checkpoint(checkpoint: Checkpoint, place: str, kept: KeptLedger) -> Iterator[Finding]:
    keys = {entry.public for entry in kept.entries}
    if not any(signed_by(checkpoint.body, checkpoint.signatures, checkpoint.origin, key) for key in keys):
        yield Finding(BROKEN, place, "no key that signed an entry signed it")
    if kept.lines and checkpoint.origin != origin_of(kept.lines[0]):
        yield Finding(BROKEN, place, f"it is of another log, {checkpoint.origin}, or the first entry was changed")
    if checkpoint.size > len(kept.lines):
        text = f"it was signed for {checkpoint.size} entries and {len(kept.lines)} are here: the last were removed"
        yield Finding(BROKEN, place, text)
    elif kept.tree.root(checkpoint.size) != checkpoint.root:
        text = (
            f"the first {checkpoint.size} entries are not those it was signed for: one was changed, moved or replaced"
        )
        yield Finding(BROKEN, place, text)


def check_keys(publics: Collection[bytes], throw_away: bool, trusted: Collection[str], place: str) -> Iterator[Finding]:
    """Whether everything was signed by keys that the reader trusts."""
    for name in sorted({key_fingerprint(public) for public in publics}):
        if trusted and name not in trusted:
            yield Finding(BROKEN, place, f"signed by a foreign key, {name}")
        elif not trusted:
            text = f"the key {name} was not compared with one that you were given: --key"
            yield Finding(INCOMPLETE, place, text)
    if throw_away:
        text = "signed by a throw-away key that lies beside the ledger: it shows damage, and nothing about who signed"
        yield Finding(INCOMPLETE, place, text)


def check_period(kept: KeptLedger, now: datetime) -> Iterator[Finding]:
    """Whether every slot of every schedule, and every run that began, is accounted for."""
    known: dict[str, int] = {}
    for entry in kept.entries:
        if entry.kind == "run":
            if entry.data["run"] in known:
                text = f"run {entry.data['run']} was stated before, in line {known[entry.data['run']] + 1}"
                yield Finding(BROKEN, entry.place, text)
            known.setdefault(entry.data["run"], entry.number)
    for run in runs(kept.entries).values():
        if run.aborted or run.ended is None:
            yield Finding(NOTE, ENTRIES, f"run {run.id} did not end in good order: aborted")
    try:
        plans, found = schedules(kept.entries), slots(kept.entries, now)
    except Malformed as error:
        yield Finding(BROKEN, ENTRIES, str(error))
        return
    if not plans:
        yield Finding(NOTE, ENTRIES, "no schedule was registered, so nothing says which runs are missing")
    for name in sorted({plan.name for plan in plans}):
        mine = [slot for slot in found if slot.schedule == name]
        place = f"schedule {name}"
        yield Finding(NOTE, place, f"{len(mine)} slots: {counts(mine)}")
        unannounced = [slot for slot in mine if not slot.announced]
        if unannounced:
            yield Finding(INCOMPLETE, place, f"{len(unannounced)} slots began before it was registered")
        silent = [slot for slot in mine if slot.outcome == "missed" and not slot.recorded]
        for slot in silent[:_SHOWN]:
            yield Finding(
                INCOMPLETE, place, f"{format_time(slot.start)}: neither a run nor a record that it was missed"
            )
        if len(silent) > _SHOWN:
            yield Finding(INCOMPLETE, place, f"and {len(silent) - _SHOWN} more such slots")
        for slot in mine:
            if slot.recorded and slot.outcome in ("run", "late"):
                yield Finding(
                    BROKEN, place, f"{format_time(slot.start)}: recorded as missed, and run {slot.runs[0]} is there"
                )


def check_run(
    directory: Path, kept: KeptLedger | None, *, documents: bool = True
) -> tuple[Entry | None, list[Finding]]:
    """Whether a run directory is what was signed; with a ledger also whether that has it.

    ``documents`` says whether OSCAL is looked into as well, which takes longer than all the rest.
    """
    found: list[Finding] = []

    def tell(severity: str, name: str, text: str) -> None:
        found.append(Finding(severity, f"{directory.name}/{name}", text))

    try:
        envelope = (directory / ATTESTATION).read_bytes()
        entry = parse_entry(0, envelope)
        if entry.kind != "run":
            raise Malformed("it is not on a run")
    except FileNotFoundError:
        text = "there is none: not signed, or killed while it was; then sign brings it back from the ledger"
        tell(INCOMPLETE, ATTESTATION, text)
        return None, found
    except Malformed as error:
        tell(BROKEN, ATTESTATION, str(error))
        return None, found
    if entry.data["run"] != directory.name:
        tell(BROKEN, ATTESTATION, f"it is on run {entry.data['run']}: put here from elsewhere")
    subjects = entry.data["subjects"]
    for name, wanted in subjects.items():
        path = directory / name
        if not path.resolve().is_relative_to(directory.resolve()):
            tell(BROKEN, name, "it lies outside the run directory")
        elif not path.is_file():
            tell(INCOMPLETE, name, "signed, and not here")
        elif file_hash(path) != wanted:
            tell(BROKEN, name, "changed after it was signed")
    for folder in ("evidence", "load"):
        for path in sorted((directory / folder).rglob("*")):
            name = path.relative_to(directory).as_posix()
            if not path.is_dir() and name not in subjects and name not in (ATTESTATION, INCLUSION):
                tell(BROKEN, name, "here, and not signed: put there later")
    try:
        for wrong in dict.fromkeys(check_records(directory, entry)):
            tell(wrong.severity, wrong.place, wrong.text)
        for problem in oscal_problems(directory / "evidence" / "oscal") if documents else ():
            place, _, text = problem.partition(": ")
            tell(BROKEN, f"evidence/oscal/{place}", text)
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError) as error:
        tell(BROKEN, "evidence", f"a field has another type than its format says: {error}")
    if not (directory / INCLUSION).exists():
        tell(INCOMPLETE, INCLUSION, "there is none: nothing here shows that a ledger has this run")
        return entry, found
    try:
        _check_inclusion(directory, entry, envelope, kept)
    except Malformed as error:
        tell(BROKEN, INCLUSION, str(error))
    return entry, found


def _check_inclusion(directory: Path, entry: Entry, envelope: bytes, kept: KeptLedger | None) -> None:
    try:
        data = (directory / INCLUSION).read_bytes()
        told: dict[str, Any] = json.loads(data)
        number, proof = told["index"], [bytes.fromhex(one) for one in told["proof"]]
        note = told["checkpoint"].encode()
        if told["format"] != LEDGER_FORMAT or not isinstance(number, int) or canonical(told) != data:
            raise Malformed(f"it is not written as {LEDGER_FORMAT} has it")
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise Malformed(str(error) if isinstance(error, Malformed) else "it cannot be read") from None
    checkpoint = parse_checkpoint(note)
    if not signed_by(checkpoint.body, checkpoint.signatures, checkpoint.origin, entry.public):
        raise Malformed("its checkpoint is not signed by the key that signed the run")
    if not includes(leaf_hash(envelope), number, checkpoint.size, proof, checkpoint.root):
        raise Malformed("its proof does not lead from this run to the checkpoint")
    if kept is None:
        return
    if number >= len(kept.lines) or kept.lines[number] != envelope:
        raise Malformed(f"line {number + 1} of the ledger is not this run")
    if checkpoint.size > len(kept.lines) or kept.tree.root(checkpoint.size) != checkpoint.root:
        raise Malformed(f"the ledger's first {checkpoint.size} entries are not those of when the run was appended")


def file_hash(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
