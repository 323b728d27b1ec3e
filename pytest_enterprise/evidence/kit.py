"""The auditor's kit: one archive with evidence, its ledger, a verifier in a single file, and how to use them."""

from __future__ import annotations

import ast
import hashlib
import io
import json
import tarfile
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from pytest_enterprise.errors import ConfigurationError, cannot_write
from pytest_enterprise.evidence import coverage as period
from pytest_enterprise.evidence.checks import read_ledger
from pytest_enterprise.evidence.entries import ATTESTATION, CHECKPOINT, ENTRIES, INCLUSION, Entry
from pytest_enterprise.evidence.records_check import RECORDS_NAME

_MODULES = ("merkle", "notes", "dsse", "entries", "period", "records_check", "oscal.checks", "checks", "verify")
"""The verifier's, each after those that it needs."""
_OURS = "pytest_enterprise."
_README = """\
Evidence of test runs, to be verified without those who made it.

1. Get the fingerprint of the signing key from those who sign, by another way than this archive came.
2. Get verify.py from a release of pytest-enterprise, not from here, or compare its SHA-256 with the release's:
   {sha256}
   It needs Python 3.11 or newer and the package cryptography, and no network.
3. python verify.py KIT --key SHA256:...
   prints one line for each thing that is wrong, with its place. Exit status: 0 nothing is wrong, 1 something is
   missing or could not be checked, 3 something is not as it was signed.
4. Whether entries were removed from the end shows only against a checkpoint from elsewhere:
   python verify.py KIT --key SHA256:... --checkpoint FILE
5. Choose a seed now, and draw a sample of all planned runs, those that never took place included:
   python verify.py KIT --sample 25 --seed "your own words"
   Each run that is drawn comes with one scenario, its commit, and the command that runs it again.

coverage.html says what the period has, control by control, and coverage.md the same in plain text; each run has a page
for auditors, evidence/auditor.html. A scenario that held supports a control, with a strength, in the environment that
was tested. It is no statement that the control operated: that you conclude.
"""


def verifier() -> str:
    """The source of ``verify.py``: the modules of the verifier one after the other, without imports of each other."""
    head, parts = "", []
    for name in _MODULES:
        path = Path(__file__).parent.joinpath(*name.split(".")).with_suffix(".py")
        source = path.read_text(encoding="utf-8")
        lines = source.splitlines(keepends=True)
        for node in ast.parse(source).body:
            span = slice(node.lineno - 1, node.end_lineno)
            text = "".join(lines[span])
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith((_OURS, "__future__")):
                other = [f"{one.asname} = {one.name}\n" for one in node.names if one.asname]
                lines[span] = [*other, *[""] * (text.count("\n") - len(other))]
            elif name == "verify" and not head:
                head = text
                lines[span] = [""] * text.count("\n")
        parts.append(f"# {name}\n\n" + "".join(lines).strip() + "\n")
    return f"{head}\nfrom __future__ import annotations\n\n" + "\n\n".join(parts)


def write(target: Path, ledger: Path, runs: Path, *, now: datetime) -> list[str]:
    """Write the kit of a ledger and the runs that are here; lines for people. Raises ConfigurationError."""
    if not (ledger / ENTRIES).is_file():
        raise ConfigurationError(f"{ledger} is no ledger: it has no {ENTRIES}. Name one with --enterprise-ledger DIR")
    kept, _ = read_ledger(ledger)
    program = verifier().encode()
    found = period.coverage(ledger, runs, now=now)
    texts = {
        "verify.py": program,
        "README.txt": _README.format(sha256=hashlib.sha256(program).hexdigest()).encode(),
        **{file: text.encode() for file, text in period.documents(found).items()},
    }
    name = target.name.partition(".")[0]
    missing = []
    partial = target.with_name(f".{target.name}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tarfile.open(partial, "w:gz") as archive:
            for file, data in texts.items():
                _add(archive, f"{name}/{file}", data)
            for file in (ENTRIES, CHECKPOINT):
                archive.add(ledger / file, f"{name}/ledger/{file}")
            for path in sorted((ledger / "timestamps").glob("*")):
                archive.add(path, f"{name}/ledger/timestamps/{path.name}")
            for entry in kept.entries:
                if entry.kind != "run":
                    continue
                directory = runs / entry.data["run"]
                if not directory.is_dir():
                    missing.append(entry.data["run"])
                for path in _files(directory, entry):
                    archive.add(path, f"{name}/{entry.data['run']}/{path.relative_to(directory).as_posix()}")
        partial.replace(target)
    except OSError as error:
        raise cannot_write(target, error) from error
    finally:
        partial.unlink(missing_ok=True)
    lines = [f"{target}: {len(kept.lines)} entries, {sum(e.kind == 'run' for e in kept.entries) - len(missing)} runs"]
    lines += [f"not here, and not in it: {run}" for run in missing]
    keys = "".join(f"\n  {one}" for one in found.fingerprints)
    return [*lines, f"hand this over by another way than the archive, as it says whose signature counts:{keys}"]


def _add(archive: tarfile.TarFile, name: str, data: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(data)
    info.mode = 0o644
    archive.addfile(info, io.BytesIO(data))


def _files(directory: Path, entry: Entry) -> Iterator[Path]:
    """What is signed, what records refer to, and what people read, as far as it is there."""
    names = {*entry.data["subjects"], ATTESTATION, INCLUSION, "index.html", "junit.xml", *_artefacts(directory)}
    for name in sorted(names):
        path = directory / name
        if path.is_file() and path.resolve().is_relative_to(directory.resolve()):
            yield path


def _artefacts(directory: Path) -> Iterator[str]:
    try:
        lines = (directory / RECORDS_NAME).read_bytes().splitlines()
        records = [json.loads(line) for line in lines]
    except (OSError, ValueError):
        return
    for record in records:
        for one in record.get("artefacts") or ():
            yield str(one["path"])
