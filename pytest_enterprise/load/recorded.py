"""Recorded traffic: what an access log or a HAR file holds, in order and told apart from what cannot be sent again."""

from __future__ import annotations

import gzip
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import groupby, pairwise
from pathlib import Path
from typing import Any, NamedTuple

from pytest_enterprise.errors import ConfigurationError
from pytest_enterprise.load.arrivals import Trace
from pytest_enterprise.load.redaction import redact_text

_SHOWN = 5
"""Malformed lines that are shown; all are counted."""
_IDENTIFIER = re.compile(r"\d+|[0-9a-fA-F]{8,}|[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}|.{24,}")


class Entry(NamedTuple):
    """One request as it was recorded."""

    moment: float
    """Seconds since the epoch."""
    method: str
    target: str
    """Path and query; the host it went to is not kept, so that nothing can go there again."""
    status: int
    """Of the answer; 0 when there was none."""
    place: int
    """Its line in a log, its number among the entries of a HAR file; from 1."""
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes | None = None

    @property
    def name(self) -> str:
        """The path, without the query and with identifiers replaced, so that requests of one kind share one name."""
        path = self.target.partition("?")[0]
        return "/".join("{id}" if _IDENTIFIER.fullmatch(part) else part for part in path.split("/"))


@dataclass
class Recording:
    """The requests of a file, and what of it will not be sent."""

    path: Path
    unit: str = "line"
    """What :attr:`Entry.place` counts."""
    entries: list[Entry] = field(default_factory=list)
    skipped: Counter[str] = field(default_factory=Counter)
    """Requests that are left out on purpose: the reason and how many."""
    malformed: list[tuple[int, str]] = field(default_factory=list)
    """The first places that could not be read, with their content, secrets taken out."""
    malformed_count: int = 0

    def bad(self, place: int, content: str) -> None:
        """Count what could not be read."""
        self.malformed_count += 1
        if len(self.malformed) < _SHOWN:
            text = redact_text(content.strip())
            self.malformed.append((place, text if len(text) <= 160 else f"{text[:157]}..."))

    def trace(self, speed: float = 1.0) -> Trace:
        """When its requests are due: as they were recorded, ``speed`` times as fast. Raises ConfigurationError."""
        return Trace(moments=[entry.moment for entry in self.entries], speed=speed)

    def document(self) -> dict[str, Any]:
        """How much of it is replayed, left out and malformed, as JSON."""
        return {"requests": len(self.entries), "left_out": dict(self.skipped), "malformed": self.malformed_count}

    def summary(self) -> list[str]:
        """What is replayed and what is not, for people."""
        seconds = self.entries[-1].moment - self.entries[0].moment if self.entries else 0.0
        lines = [f"{self.path.name}: {len(self.entries):,} requests over {seconds:,.1f} s"]
        lines += [f"  left out: {count:,} x {reason}" for reason, count in self.skipped.most_common()]
        if self.malformed_count:
            lines.append(f"  could not be read: {self.malformed_count:,} {_plural(self.unit, self.malformed_count)}")
            lines += [f"    {self.unit} {place}: {content}" for place, content in self.malformed]
        return lines


def _plural(unit: str, count: int) -> str:
    if count == 1:
        return unit
    return "entries" if unit == "entry" else f"{unit}s"


def read(
    path: str | Path, *, methods: Iterable[str] | None = None, sort: bool = False, origin: str | None = None
) -> Recording:
    """The requests of an access log (common, combined, Envoy's) or a HAR file; ``.gz`` is unpacked.

    ``methods`` are those to send; None: from a log GET, HEAD and OPTIONS, since it holds no bodies, from a HAR file
    all. ``sort`` puts out-of-order entries in order. ``origin`` is the host whose requests a HAR file is read for;
    None: that of its first. Raises ConfigurationError.
    """
    from pytest_enterprise.load import access_log, har

    path = Path(path)
    try:
        data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (OSError, EOFError) as error:
        raise ConfigurationError(f"cannot read {path}: {getattr(error, 'strerror', None) or error}") from None
    text = data.decode("utf-8-sig", errors="replace")
    wanted = None if methods is None else frozenset(method.upper() for method in methods)
    recording = Recording(path)
    if text.lstrip()[:1] == "{":
        recording.unit = "entry"
        har.read(recording, text, wanted, origin)
    else:
        access_log.read(recording, text, wanted)
    if not recording.entries:
        told = "\n".join(recording.summary()[1:])
        raise ConfigurationError(
            f"{path} holds no request that could be sent. Give an access log (common, combined or Envoy's format) or a "
            f"HAR 1.2 file{'; methods=[...] takes others' if recording.skipped else ''}.{told and chr(10)}{told}"
        )
    if sort:
        recording.entries.sort(key=lambda entry: entry.moment)
    _refuse_disorder(recording)
    if all(entry.moment.is_integer() for entry in recording.entries):
        recording.entries = list(_spread(recording.entries))
    return recording


def _refuse_disorder(recording: Recording) -> None:
    for earlier, later in pairwise(recording.entries):
        if later.moment < earlier.moment:
            raise ConfigurationError(
                f"{recording.path}: {recording.unit} {later.place} is {earlier.moment - later.moment:.3f} s before "
                f"{recording.unit} {earlier.place}, which stands above it. Times must ascend; servers that write when "
                "a request ends may mix them: sort=True (--replay-sort) puts them in order."
            )


def _spread(entries: Iterable[Entry]) -> Iterator[Entry]:
    """Times in whole seconds, as most logs have them: the requests of one second go evenly over it, not in a burst."""
    for second, group in groupby(entries, key=lambda entry: entry.moment):
        together = list(group)
        for position, entry in enumerate(together):
            yield entry._replace(moment=second + position / len(together))
