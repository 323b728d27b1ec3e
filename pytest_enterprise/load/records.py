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
from binascii import hexlify
from collections.abc import Callable, Iterator
from functools import partial
from itertools import chain, count
from pathlib import Path
from typing import NamedTuple

RECORD = struct.Struct("<QIHHI")
WRONG = "wrong: "
"""How the kinds of failure begin that say: an answer came, and a check found it wrong."""
LARGEST = 64 << 20
"""Bytes of an answer that are taken when no other limit is given: what is larger is a failure, and never in memory."""
TRACE_CALLER = f"-{b'pytest-e'.hex()}-01"
"""What follows a trace id in its ``traceparent``."""
_TRACE_BLOCK = 256
_U32 = 0xFFFFFFFF
_LAST = 0xFFFF
_pack = RECORD.pack


def trace_ids(seed: int) -> Iterator[bytes]:
    """The W3C trace ids, 32 hexadecimal digits each, of a load's requests in the order of their beginning.

    They follow from the load's seed, so that nothing is kept for each request, and are made many at once: a request of
    the native engine costs so little that a digest of its own would show.
    """
    return chain.from_iterable(map(partial(_trace_block, seed), count()))


def trace_id(seed: int, number: int) -> str:
    """The trace id of one request; numbers count from 1."""
    block, place = divmod(number - 1, _TRACE_BLOCK)
    return _trace_block(seed, block)[place].decode()


def _trace_block(seed: int, block: int) -> list[bytes]:
    drawn = hashlib.shake_128(b"trace/%d/%d" % (seed, block)).digest(_TRACE_BLOCK * 16)
    return hexlify(drawn, " ", 16).split()


def traceparent(trace_id: str) -> str:
    """The W3C header that carries a trace id: the load is the caller, and it asks to be recorded."""
    return f"00-{trace_id}{TRACE_CALLER}"


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
        self._flushed = 0

    @property
    def count(self) -> int:
        """Records so far."""
        return self._flushed + len(self._buffer) // RECORD.size

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

    def successes(self, name: str) -> Callable[[int, int, int], None]:
        """What :meth:`add` does for a success of that name, for less: gives ``add(start, latency, size)``.

        Both times are in ns.
        """
        buffer = self._buffer
        number = -1

        def add(start: int, latency: int, size: int) -> None:
            nonlocal buffer, number
            try:
                buffer += _pack(start, (latency + 500) // 1000, number, 0, size)
            except struct.error:  # the first one, or a value that the record cannot hold
                self.add(start, latency / 1e9, name, "", size)
                number = self._names.get(name, -1)

        return add

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
            self._flushed += len(self._buffer) // RECORD.size
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
