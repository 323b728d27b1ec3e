"""Verify evidence without those who made it: ``python verify.py DIRECTORY_OR_ARCHIVE [--key SHA256:...]``.

Needs Python 3.11 or newer and ``cryptography``, no network, and nothing of pytest-enterprise. Exit status:

0
    everything that was signed is here and unchanged;
1
    nothing contradicts itself, but something is missing or could not be checked;
2
    there is nothing to verify, or the command was mistaken;
3
    something was changed, added, moved, replayed, taken out of the ledger or signed by a foreign key.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import shutil
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Collection, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from pytest_enterprise.evidence.checks import (
    Finding,
    KeptLedger,
    check_keys,
    check_log,
    check_period,
    check_run,
    read_ledger,
)
from pytest_enterprise.evidence.entries import ATTESTATION, ENTRIES, format_time, parse_time
from pytest_enterprise.evidence.notes import Malformed, cosigned_at, parse_checkpoint
from pytest_enterprise.evidence.period import slots
from pytest_enterprise.evidence.records_check import BROKEN, INCOMPLETE, NOTE


class NothingToVerify(Exception):
    """The place that was named holds no evidence."""


class Places(NamedTuple):
    """Where evidence lies."""

    ledger: Path | None
    run: Path | None
    """The one run directory, where only that was asked for."""
    runs: Path


def locate(path: Path) -> Places:
    """What a directory is: reports with a ledger, a ledger, or one run. Raises NothingToVerify."""
    for folder in (path, *(sorted(path.iterdir()) if path.is_dir() else ())):
        if (folder / "ledger" / ENTRIES).is_file():
            return Places(folder / "ledger", None, folder)
        if (folder / ENTRIES).is_file():
            return Places(folder, None, folder.parent)
        if folder == path and (folder / ATTESTATION).is_file():
            beside = folder.absolute().parent / "ledger"
            return Places(beside if (beside / ENTRIES).is_file() else None, folder.resolve(), folder.parent)
    raise NothingToVerify(
        f"{path} holds no evidence: neither a ledger ({ENTRIES}, or ledger/{ENTRIES}) nor a signed run ({ATTESTATION})"
    )


@contextlib.contextmanager
def opened(path: Path) -> Iterator[Path]:
    """A directory, or what an archive holds. Raises NothingToVerify."""
    if not path.exists():
        raise NothingToVerify(
            f"{path} is not there: name reports with a ledger, a ledger, a run directory or an archive"
        )
    if path.is_dir():
        yield path
        return
    with tempfile.TemporaryDirectory() as folder:
        try:
            if zipfile.is_zipfile(path):
                with zipfile.ZipFile(path) as zipped:
                    zipped.extractall(folder)  # noqa: S202 (it drops ".." and absolute names)
            else:
                with tarfile.open(path) as archive:
                    unpack(archive, Path(folder))
        except (OSError, EOFError, tarfile.TarError, zipfile.BadZipFile, ValueError) as error:
            raise NothingToVerify(f"{path} is neither a directory nor an archive that can be read: {error}") from None
        yield Path(folder)


def unpack(archive: tarfile.TarFile, folder: Path) -> None:
    """The files of an archive, and nothing else. Raises TarError for links and devices, and for names that lead out.

    ``extractall(filter="data")`` is not in every Python 3.11.
    """
    for member in archive:
        path = Path(member.name)
        if path.is_absolute() or ".." in path.parts or not (member.isfile() or member.isdir()):
            raise tarfile.TarError(f"{member.name!r} in it is no file, or lies outside of it")
        source = archive.extractfile(member)
        if source is None:
            (folder / path).mkdir(parents=True, exist_ok=True)
            continue
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        with (folder / path).open("wb") as file:
            shutil.copyfileobj(source, file)


def verify(
    places: Places,
    *,
    trusted: Collection[str] = (),
    earlier: bytes | None = None,
    now: datetime | None = None,
    documents: bool = False,
) -> list[Finding]:
    """Everything there is to say about evidence, the ledger first.

    Of a whole ledger, OSCAL is compared by its hashes, and looked into only where ``documents`` asks for it.
    """
    found: list[Finding] = []
    kept: KeptLedger | None = None
    if places.ledger:
        kept, wrong = read_ledger(places.ledger)
        found += [*wrong, *check_log(places.ledger, kept, earlier)]
    if places.run:
        entry, wrong = check_run(places.run, kept)
        found += wrong
        if kept is None:
            found.append(Finding(NOTE, "ledger", "not looked at: what it says of other runs is not known"))
        if entry:
            found += check_keys([entry.public], entry.throw_away, trusted, f"{places.run.name}/{ATTESTATION}")
        return found
    if kept is None:
        return found
    throw_away = any(entry.throw_away for entry in kept.entries)
    found += check_keys({entry.public for entry in kept.entries}, throw_away, trusted, ENTRIES)
    found += check_period(kept, now or datetime.now(UTC))
    stated = {entry.data["run"] for entry in kept.entries if entry.kind == "run"}
    for run in sorted(stated):
        if (places.runs / run).is_dir():
            found += check_run(places.runs / run, kept, documents=documents)[1]
        else:
            found.append(Finding(INCOMPLETE, run, "the ledger has this run, and its files are not here"))
    if stated and not documents:
        text = "compared by its hash; --documents, or one run alone, looks into it for what makes no sense"
        found.append(Finding(NOTE, "OSCAL", text))
    unsigned = 0
    for folder in sorted(places.runs.iterdir()):
        if folder.name in stated or folder.is_symlink() or not folder.is_dir():
            continue
        if (folder / ATTESTATION).exists():
            found.append(Finding(BROKEN, folder.name, "signed, and the ledger does not have it"))
        unsigned += (folder / "run.json").exists()
    if unsigned:
        found.append(
            Finding(NOTE, str(places.runs.name), f"{unsigned} runs here are not signed and were not looked at")
        )
    return found


def sample(places: Places, count: int, seed: str, now: datetime) -> Iterator[str]:
    """Slots (runs, where there is no schedule) that a seed draws, and how to run one scenario of each again.

    Drawn are those with the smallest SHA-256 of seed, newline and name, so that anyone can draw them by hand.
    """
    if not places.ledger:
        raise NothingToVerify("a sample is drawn from a ledger, and there is none here")
    kept, _ = read_ledger(places.ledger)
    names = {
        f"{slot.schedule} {format_time(slot.start)}": (slot.outcome, slot.runs)
        for slot in slots(kept.entries, now)
        if slot.outcome != "open"
    } or {entry.data["run"]: ("run", (entry.data["run"],)) for entry in kept.entries if entry.kind == "run"}
    drawn = sorted(names, key=lambda name: drawing(seed, name))[:count]
    yield f"{len(drawn)} of {len(names)}, drawn with seed {seed!r}:"
    for name in sorted(drawn):
        outcome, ids = names[name]
        yield f"{name}: {outcome}" + "".join(f", run {id}" for id in ids)
        entry = kept.entry_of(ids[0]) if ids else None
        if entry:
            yield from _again(places.runs / ids[0], entry.data.get("commit", ""), seed)


def _again(directory: Path, commit: str, seed: str) -> Iterator[str]:
    try:
        lines = (directory / "evidence" / "evidence.jsonl").read_bytes().splitlines()
        scenarios = [one for one in map(json.loads, lines) if one.get("kind") == "scenario"]
    except (OSError, ValueError, AttributeError):
        yield "  its records are not here or cannot be read"
        return
    if scenarios:
        one = min(scenarios, key=lambda record: drawing(seed, str(record.get("node_id"))))
        yield f"  {one.get('node_id')}: {one.get('outcome')}"
        checkout = f"git checkout {commit} && " if commit else ""
        yield f"  again: {checkout}{one.get('again') or 'pytest ' + repr(one.get('node_id'))}"


def drawing(seed: str, name: str) -> bytes:
    """What orders a population for a seed."""
    return hashlib.sha256(f"{seed}\n{name}".encode()).digest()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="verify", description="Verify evidence without those who made it.")
    parser.add_argument("path", nargs="?", default="reports", help="reports, a ledger, a run directory or an archive")
    parser.add_argument("--key", action="append", default=[], metavar="SHA256:...", help="a fingerprint to trust")
    parser.add_argument("--checkpoint", metavar="FILE", help="an earlier checkpoint, kept where nobody could change it")
    parser.add_argument(
        "--witness", action="append", default=[], metavar="KEY", help="a witness whose signature must be there"
    )
    parser.add_argument("--runs", metavar="DIR", help="where the run directories lie, if not beside the ledger")
    parser.add_argument(
        "--sample", type=int, metavar="N", help="draw N slots instead, each with a scenario to run again"
    )
    parser.add_argument("--seed", help="what the sample is drawn with: yours, chosen now")
    parser.add_argument("--documents", action="store_true", help="look into the OSCAL documents of every run")
    parser.add_argument("--now", metavar="TIME", help="judge the schedule as of this time")
    return parser


def _check_witnesses(places: Places, keys: Sequence[str]) -> Iterator[Finding]:
    if not keys or not places.ledger:
        return
    checkpoint = parse_checkpoint((places.ledger / "checkpoint").read_bytes())
    for key in keys:
        at = cosigned_at(checkpoint, key)
        name = key.partition("+")[0]
        if at is None:
            yield Finding(INCOMPLETE, "checkpoint", f"witness {name} did not sign it")
        else:
            seen = format_time(datetime.fromtimestamp(at, UTC))
            yield Finding(NOTE, "checkpoint", f"witness {name} saw it at {seen}")


def printable(text: str) -> str:
    """Text of evidence on a terminal: nothing in it may move a cursor."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def main(argv: Sequence[str] | None = None) -> int:
    """Print one line for each finding; see the top of this file for the exit status."""
    arguments = _parser().parse_args(argv)
    try:
        now = parse_time(arguments.now) if arguments.now else datetime.now(UTC)
        earlier = Path(arguments.checkpoint).read_bytes() if arguments.checkpoint else None
        with opened(Path(arguments.path)) as folder:
            places = locate(folder)
            if arguments.runs:
                places = places._replace(runs=Path(arguments.runs))
            if arguments.sample is not None:
                if not arguments.seed:
                    raise NothingToVerify("--sample needs --seed TEXT: choose it yourself, after you got the evidence")
                for line in sample(places, arguments.sample, arguments.seed, now):
                    print(printable(line))  # noqa: T201
                return 0
            found = verify(places, trusted=arguments.key, earlier=earlier, now=now, documents=arguments.documents)
            found += _check_witnesses(places, arguments.witness)
    except (NothingToVerify, Malformed, OSError) as error:
        print(f"verify: {error}", file=sys.stderr)  # noqa: T201
        return 2
    for finding in found:
        print(printable(f"{finding.severity}: {finding.place}: {finding.text}"))  # noqa: T201
    number = {severity: sum(one.severity == severity for one in found) for severity in (BROKEN, INCOMPLETE)}
    if number[BROKEN]:
        print(f"BROKEN: {number[BROKEN]} contradictions; this is not the evidence that was signed")  # noqa: T201
        return 3
    if number[INCOMPLETE]:
        print(f"INCOMPLETE: nothing was changed; {number[INCOMPLETE]} things are missing or unchecked")  # noqa: T201
        return 1
    print("VERIFIED: everything that was signed is here and unchanged; what it means is for you to conclude")  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main())
