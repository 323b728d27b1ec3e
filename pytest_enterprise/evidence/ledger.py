"""The ledger of runs: appended to under a lock, whole after a crash, and named by a signed checkpoint.

``entries.jsonl`` is the ledger; see :mod:`.entries`. Beside it lie ``checkpoint``, ``lock`` and, for each run that goes
on, ``running/<run>``, which its process keeps locked: whoever finds it unlocked knows that the run has died.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

from pytest_enterprise.errors import ConfigurationError
from pytest_enterprise.evidence import notes, period
from pytest_enterprise.evidence.dsse import RECORD, STATEMENT, canonical, seal
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
from pytest_enterprise.evidence.keys import Key
from pytest_enterprise.evidence.merkle import Tree, leaf_hash
from pytest_enterprise.evidence.statement import statement


class Ledger:
    """A ledger in a directory, which is made when it is first appended to."""

    def __init__(self, directory: Path, key: Key, *, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self.directory = directory
        self.key = key
        self._clock = clock
        self._running: dict[str, IO[bytes]] = {}
        self._read: dict[tuple[int, bytes], Entry] = {}

    # What is recorded

    def begin(self, run: str, *, began: datetime, commit: str = "") -> None:
        """Record that a run began, so that it is counted whatever becomes of it; and what became of others."""
        with self._locked():
            path = self.directory / "running" / run
            path.parent.mkdir(exist_ok=True)
            file = path.open("wb")
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                told = self._overdue()
                self._append([*told, self._record("begun", run=run, began=format_time(began), commit=commit)])
            except BaseException:
                file.close()
                path.unlink()
                raise
            self._running[run] = file

    def finish(self, directory: Path) -> int:
        """Sign what a run left in its directory and append it; returns its place, from 0.

        The directory then holds the envelope and the proof that the ledger includes it.
        """
        with self._locked():
            document = statement(directory, at=self._clock(), throw_away=self.key.throw_away)
            envelope = seal(STATEMENT, document, self.key.public, self.key.sign)
            run = document["predicate"]["configuration"][0]["annotations"]["run"]
            known = next((e.number for e in self._entries() if e.kind == "run" and e.data["run"] == run), None)
            if known is None:
                tree, checkpoint = self._append([envelope])
                index = len(tree.leaves) - 1
            elif (directory / INCLUSION).exists():
                place = f"line {known + 1} of {self.directory / ENTRIES}"
                raise ConfigurationError(f"{directory}: {place} is on this run already")
            else:  # it died between the two: what the ledger has is brought back
                lines, index = self._lines(), known
                tree, checkpoint = Tree(map(leaf_hash, lines)), (self.directory / CHECKPOINT).read_bytes()
                self._check_unchanged(lines, tree)
                envelope = lines[index]
            size = notes.parse_checkpoint(checkpoint).size
            proof = {
                "format": LEDGER_FORMAT,
                "index": index,
                "proof": [hash.hex() for hash in tree.inclusion(index, size)],
                "checkpoint": checkpoint.decode(),
            }
            _replace(directory / ATTESTATION, envelope)
            _replace(directory / INCLUSION, canonical(proof))
            (self.directory / "running" / run).unlink(missing_ok=True)
            self.close(run)
        return index

    def close(self, run: str) -> None:
        """Let go of a run that began here: unless it was finished, the next to come will find that it has died."""
        file = self._running.pop(run, None)
        if file:
            file.close()

    def register(self, schedule: dict[str, Any]) -> Entry:
        """Register a schedule; see :mod:`.schedule` for how one is written."""
        with self._locked():
            line = self._record("schedule", **schedule)
            period.schedule_of(parse_entry(0, line))
            tree, _ = self._append([line])
            return parse_entry(len(tree.leaves) - 1, line)

    def settle(self) -> list[Entry]:
        """Append what nobody was there to record: runs that died, and slots that passed without one."""
        with self._locked():
            told = self._overdue()
            if not told:
                return []
            tree, _ = self._append(told)
            first = len(tree.leaves) - len(told)
            return [parse_entry(first + n, line) for n, line in enumerate(told)]

    # How

    def _record(self, kind: str, **fields: Any) -> bytes:
        document = {
            **fields,
            "format": LEDGER_FORMAT,
            "kind": kind,
            "at": format_time(self._clock()),
            "key": "throw-away" if self.key.throw_away else "kept",
        }
        return seal(RECORD, document, self.key.public, self.key.sign)

    def _overdue(self) -> list[bytes]:
        entries = self._entries()
        dead = [run for run in runs(entries).values() if not run.ended and not run.aborted and not self._alive(run.id)]
        told = [self._record("aborted", run=run.id, began=format_time(run.began)) for run in dead]
        for run in dead:
            (self.directory / "running" / run.id).unlink(missing_ok=True)
        return told + [
            self._record("missed", schedule=slot.schedule, slot=format_time(slot.start))
            for slot in period.slots(entries, self._clock())
            if slot.outcome == "missed" and not slot.recorded
        ]

    def _alive(self, run: str) -> bool:
        try:
            with (self.directory / "running" / run).open("rb") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except OSError:
            pass
        return False

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """Alone with the ledger. An error in writing becomes a ConfigurationError, and leaves the ledger as it was."""
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            with (self.directory / "lock").open("ab") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                yield
        except notes.Malformed as error:
            raise ConfigurationError(f"ledger {self.directory}: {error}. {_KEEP}") from error
        except OSError as error:
            raise ConfigurationError(
                f"cannot write to the ledger {error.filename or self.directory}: {error.strerror}. "
                "It is as it was before; make room, or give another with --enterprise-ledger DIR"
            ) from error

    def _lines(self) -> list[bytes]:
        try:
            return split((self.directory / ENTRIES).read_bytes())[0]
        except FileNotFoundError:
            return []

    def _entries(self) -> list[Entry]:
        """The entries, each read once."""
        found = []
        for number, line in enumerate(self._lines()):
            if (number, line) not in self._read:
                self._read[number, line] = parse_entry(number, line)
            found.append(self._read[number, line])
        return found

    def _append(self, envelopes: Sequence[bytes]) -> tuple[Tree, bytes]:
        """Append envelopes and sign the new checkpoint; what an interrupted append left is removed first."""
        path = self.directory / ENTRIES
        lines = self._lines()
        tree = Tree(leaf_hash(line) for line in lines)
        self._check_unchanged(lines, tree)
        kept = sum(len(line) + 1 for line in lines)
        tree = Tree([*tree.leaves, *(leaf_hash(line) for line in envelopes)])
        origin = origin_of([*lines, *envelopes][0])
        checkpoint = notes.signed_checkpoint(origin, len(tree.leaves), tree.root(), self.key.public, self.key.sign)
        with path.open("ab", buffering=0) as file:
            file.truncate(kept)
            try:
                _write(file, b"".join(line + b"\n" for line in envelopes))
                _replace(self.directory / CHECKPOINT, checkpoint)
            except OSError:
                file.truncate(kept)
                raise
        return tree, checkpoint

    def _check_unchanged(self, lines: Sequence[bytes], tree: Tree) -> None:
        """Refuse to sign for a ledger that is not the one which was signed before."""
        path = self.directory / CHECKPOINT
        if not path.exists():
            if len(lines) > 1:
                raise notes.Malformed("its checkpoint is gone")
            return
        last = notes.parse_checkpoint(path.read_bytes())
        if last.size > len(lines) or tree.root(last.size) != last.root:
            raise notes.Malformed(f"its first {last.size} lines are not what its checkpoint was signed for")


_KEEP = "Keep it as it is, see pytest-enterprise verify, and go on in another directory with --enterprise-ledger DIR"


def _replace(path: Path, data: bytes) -> None:
    """Write a file whole or not at all, and durably."""
    partial = path.with_name(f".{path.name}.part")
    with partial.open("wb", buffering=0) as file:
        _write(file, data)
    partial.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _write(file: IO[bytes], data: bytes) -> None:
    left = memoryview(data)
    while left:
        left = left[file.write(left) :]
    os.fsync(file.fileno())
