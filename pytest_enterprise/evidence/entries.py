"""What a ledger holds: one signed envelope on each line of ``entries.jsonl``, in the order in which they were appended.

Format ``pytest-enterprise/ledger/1``. A line is an in-toto statement on a run that ended, or a record with a ``kind``:

``begun``
    A run began: ``run``, ``began``, ``commit``.
``aborted``
    A run that began was found to have died: ``run``, ``began``.
``schedule``
    A plan, registered before its period; see :mod:`.period`.
``missed``
    A slot of a schedule had no run: ``schedule``, ``slot``.

Every one has ``at`` (when it was signed, RFC 3339 in UTC) and ``key`` (``kept`` or ``throw-away``). ``checkpoint``
beside it is a signed note on all lines so far. What stands after the last line break is an append that was cut short,
and no entry.

Part of the single-file verifier: the standard library and ``cryptography`` only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from pytest_enterprise.evidence.dsse import RECORD, STATEMENT, unseal
from pytest_enterprise.evidence.merkle import leaf_hash
from pytest_enterprise.evidence.notes import Malformed

LEDGER_FORMAT = "pytest-enterprise/ledger/1"
ENTRIES, CHECKPOINT = "entries.jsonl", "checkpoint"
ATTESTATION, INCLUSION = "evidence/attestation.json", "evidence/inclusion.json"
"""Files of a run directory that signing adds: the envelope, and where the ledger keeps it."""
RECORD_KINDS = ("aborted", "begun", "missed", "schedule")
PREDICATE = "https://in-toto.io/attestation/test-result/v0.1"
STATEMENT_TYPE = "https://in-toto.io/Statement/v1"


class Entry(NamedTuple):
    """One entry of a ledger; its signature holds."""

    number: int
    """Its place, from 0."""
    kind: str
    """``run`` for a statement, else as recorded."""
    at: datetime
    public: bytes
    throw_away: bool
    data: Mapping[str, Any]
    """Of a run: ``run``, ``began``, ``ended``, ``exit_status``, ``mode``, ``commit``, ``environment``, ``passed``,
    ``warned``, ``failed``, ``skipped``, ``subjects`` (path to sha256); of others their fields."""

    @property
    def place(self) -> str:
        """Where a person finds it."""
        return f"{ENTRIES}:{self.number + 1}"


def split(data: bytes) -> tuple[list[bytes], bytes]:
    """The envelopes in the bytes of ``entries.jsonl``, and what stands after the last line break."""
    *lines, rest = data.split(b"\n")
    return lines, rest


def parse_time(text: Any) -> datetime:
    """A time in RFC 3339 with its zone, in UTC. Raises Malformed."""
    try:
        at = datetime.fromisoformat(text)
    except (TypeError, ValueError):
        raise Malformed(f"{text!r} is no time; it reads 2026-01-31T02:00:00Z") from None
    if at.tzinfo is None:
        raise Malformed(f"{text!r} names no time zone; end it with Z")
    return at.astimezone(UTC)


def format_time(at: datetime) -> str:
    """RFC 3339 in UTC with milliseconds."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def parse_entry(index: int, line: bytes) -> Entry:
    """An entry, verified with the key that it names. Raises Malformed that says what is wrong."""
    opened = unseal(line)
    document = opened.payload
    if opened.payload_type == STATEMENT:
        kind, data = "run", _of_statement(document)
    elif opened.payload_type == RECORD:
        if document.get("format") != LEDGER_FORMAT:
            raise Malformed(f"format {document.get('format')!r} is not known here; {LEDGER_FORMAT} is")
        kind, data = document.get("kind", ""), document
        if kind not in RECORD_KINDS:
            raise Malformed(f"kind {kind!r} is not known in {LEDGER_FORMAT}")
    else:
        raise Malformed(f"payload type {opened.payload_type!r} is not known here")
    _check_fields(kind, data)
    return Entry(index, kind, parse_time(data.get("at")), opened.public, data.get("key") == "throw-away", data)


def _check_fields(kind: str, data: Mapping[str, Any]) -> None:
    texts = {"run": ("run", "began"), "begun": ("run", "began"), "aborted": ("run",), "missed": ("schedule", "slot")}
    for name in texts.get(kind, ()):
        if not isinstance(data.get(name), str) or not data[name]:
            raise Malformed(f"an entry of kind {kind} has no {name}")
    for name in ("began", "slot"):
        if data.get(name):
            parse_time(data[name])


def _of_statement(document: Mapping[str, Any]) -> dict[str, Any]:
    try:
        if document["_type"] != STATEMENT_TYPE or document["predicateType"] != PREDICATE:
            raise Malformed("it is a statement of another type than an in-toto test result v0.1")
        predicate = document["predicate"]
        found = {one["name"]: one for one in predicate["configuration"]}
        about = dict(found["run"]["annotations"])
        return {
            **about,
            "commit": found.get("commit", {}).get("digest", {}).get("gitCommit", ""),
            "result": predicate["result"],
            "passed": tuple(map(str, predicate["passedTests"])),
            "warned": tuple(map(str, predicate["warnedTests"])),
            "failed": tuple(map(str, predicate["failedTests"])),
            "skipped": tuple(map(str, about.get("skipped", ()))),
            "subjects": {one["name"]: one["digest"]["sha256"] for one in document["subject"]},
        }
    except (AttributeError, KeyError, TypeError) as error:
        raise Malformed(f"a statement's field is missing or of another type: {error}") from None


class RunSeen(NamedTuple):
    """What a ledger tells of one run."""

    id: str
    began: datetime
    ended: Entry | None
    """Its statement; None where it never ended."""
    aborted: bool
    """It was found to have died, or was interrupted: it tested less than it set out to."""


def runs(entries: Sequence[Entry]) -> dict[str, RunSeen]:
    """Every run that a ledger knows, in the order in which they were first named."""
    seen: dict[str, RunSeen] = {}
    for entry in entries:
        if entry.kind not in ("begun", "aborted", "run"):
            continue
        id = entry.data["run"]
        old = seen.get(id) or RunSeen(id, parse_time(entry.data.get("began") or entry.data["at"]), None, False)
        if entry.kind == "run":
            old = old._replace(ended=entry, aborted=entry.data.get("exit_status") not in (0, 1))
        elif entry.kind == "aborted" and old.ended is None:
            old = old._replace(aborted=True)
        seen[id] = old
    return seen


def origin_of(first_line: bytes) -> str:
    """The name of a log, which follows from its first entry: another log cannot bear it."""
    return "pytest-enterprise/ledger/" + leaf_hash(first_line).hex()[:32]
