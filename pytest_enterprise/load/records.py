"""Every request of a load, 20 bytes each: the format, its writer and its reader.

``<load>.requests`` holds records of ``RECORD``: intended or actual start (CLOCK_MONOTONIC, ns, u64), latency (µs, u32,
capped at 71 minutes), name (u16), outcome (u16) and response size (bytes, u32, capped). ``<load>.index.jsonl`` beside
it tells what the numbers mean, one line for each name or outcome when it first occurs. Outcome 0 is success; each other
is one kind of failure.
"""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

RECORD = struct.Struct("<QIHHI")
WRONG = "wrong: "
"""How the kinds of failure begin that say: an answer came, and a check found it wrong."""
_U32 = 0xFFFFFFFF
_LAST = 0xFFFF
_pack = RECORD.pack


def trace_ids(seed: int) -> Callable[[int], str]:
    """The W3C trace ids, 32 hexadecimal digits each, of a load's requests by their number in order of their beginning.

    Numbers count from 1. Derived from the load's seed, so that nothing is kept for each request.
    """
    begun = hashlib.blake2b(b"%d/" % seed, digest_size=16, person=b"trace")

    def of(number: int) -> str:
        digest = begun.copy()
        digest.update(b"%d" % number)
        return digest.hexdigest()

    return of


def trace_id(seed: int, number: int) -> str:
    """One of :func:`trace_ids`."""
    return trace_ids(seed)(number)


def traceparent(trace_id: str) -> str:
    """The W3C header that carries a trace id: its own span is the caller, and it asks to be recorded."""
    return f"00-{trace_id}-{trace_id[:16]}-01"


class Request(NamedTuple):
    """One request as recorded."""

    start: int
    """CLOCK_MONOTONIC in ns."""
    latency: float
    """Seconds."""
    name: str
    """The endpoint, as Locust groups them: ``POST /tasks``."""
    error: str
    """Empty for success, else the kind of failure: ``HTTP 503``, ``ConnectionRefusedError``."""
    size: int
    """Bytes of the response."""

    @property
    def end(self) -> int:
        """CLOCK_MONOTONIC in ns of its end."""
        return self.start + round(self.latency * 1e9)


class RecordWriter:
    """Appends records; buffered, so call :meth:`flush` as often as readers should see them."""

    def __init__(self, path: Path) -> None:
        """``path`` without suffix: ``load/<load>``."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self._records = path.with_name(path.name + ".requests").open("ab")
        self._index = path.with_name(path.name + ".index.jsonl").open("a", encoding="utf-8")
        self._names: dict[str, int] = {}
        self._errors: dict[str, int] = {"": 0}
        self._buffer = bytearray()
        self._new = ""
        """Lines for the index."""
        self.count = 0

    def _number(self, table: dict[str, int], field: str, text: str) -> int:
        if len(table) >= _LAST:
            text = f"(other {field}s)"
            if text in table:
                return table[text]
        number = table[text] = len(table)
        self._new += json.dumps({field: text, "number": number}) + "\n"
        return number

    def add(self, start: int, latency: float, name: str, error: str, size: int) -> None:
        """Add one request: ``start`` in ns, ``latency`` in seconds.

        From the 65,535th different name (or error) on, all further ones share one number.
        """
        number = self._names.get(name)
        if number is None:
            number = self._number(self._names, "name", name)
        outcome = 0
        if error:
            known = self._errors.get(error)
            outcome = self._number(self._errors, "error", error) if known is None else known
        micros = int(latency * 1e6 + 0.5)
        if not 0 <= micros <= _U32:
            micros = 0 if micros < 0 else _U32
        if not 0 <= size <= _U32:
            size = 0 if size < 0 else _U32
        self._buffer += _pack(start, micros, number, outcome, size)
        self.count += 1

    def flush(self) -> None:
        """Make everything added so far visible to readers, names before the records that use them.

        The only place that writes, so that a full disk is met (OSError) where somebody can tell of it.
        """
        if self._new:
            self._index.write(self._new)
            self._index.flush()
            self._new = ""
        if self._buffer:
            self._records.write(self._buffer)
            self._records.flush()
            self._buffer.clear()

    def close(self) -> None:
        self.flush()
        self._records.close()
        self._index.close()


def read_index(path: Path) -> tuple[dict[int, str], dict[int, str]]:
    """What the numbers of names and of outcomes mean, by the index of a load; ``path`` is without suffix."""
    names: dict[int, str] = {}
    errors: dict[int, str] = {0: ""}
    with path.with_name(path.name + ".index.jsonl").open(encoding="utf-8") as index:
        for line in index:
            try:
                entry = json.loads(line)
            except ValueError:
                continue
            if "name" in entry:
                names[entry["number"]] = entry["name"]
            else:
                errors[entry["number"]] = entry["error"]
    return names, errors


def read(path: Path) -> Iterator[Request]:
    """The requests of a load, in the order in which they ended; a record that a crash cut short is left out.

    ``path`` is without suffix, as for :class:`RecordWriter`. A load that still runs can be read too: the writer puts a
    name into the index before any record that uses it, so a number that is not known yet is looked up once more.
    """
    names, errors = read_index(path)
    with path.with_name(path.name + ".requests").open("rb") as file:
        rest = b""
        while block := file.read(RECORD.size * 4096):
            block = rest + block
            whole = len(block) - len(block) % RECORD.size
            rest = block[whole:]
            for start, latency, name, error, size in RECORD.iter_unpack(block[:whole]):
                if name not in names or error not in errors:
                    names, errors = read_index(path)
                yield Request(
                    start,
                    latency / 1e6,
                    names.get(name, f"(name {name})"),
                    errors.get(error, f"(error {error})"),
                    size,
                )
