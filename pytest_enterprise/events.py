"""The events of a run: one append-only JSON-lines file per process, merged by time when the run ends.

An event is one JSON object with at least

``t``
    CLOCK_MONOTONIC in nanoseconds: compares within one host and boot only.
``at``
    wall-clock time, ISO 8601 in UTC, for people.
``kind``
    what happened, ``part.verb``: ``engine.ready``, ``fault.began``, ``load.finished``, ``objective.judged`` ...
``pid``
    the process that saw it.

The core emits and does not know who listens. A line that a crash cut short is skipped by :func:`read`.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pytest_enterprise.redaction import Redactor

Event = dict[str, Any]
Listener = Callable[[Event], None]


class EventLog:
    """Appends events to ``<directory>/events/<pid>.jsonl`` and tells every listener; safe from several threads.

    What is written has no secrets in it; listeners are told everything.
    """

    def __init__(self, directory: Path) -> None:
        self.secrets = Redactor.of()
        folder = directory / "events"
        folder.mkdir(parents=True, exist_ok=True)
        self.directory = directory
        self._file = (folder / f"{os.getpid()}.jsonl").open("a", encoding="utf-8")
        self._lock = threading.Lock()
        self._listeners: list[Listener] = []
        self.failure: OSError | None = None
        """The first error in writing (a full disk), for those who can tell a user: :meth:`emit` raises none."""

    def subscribe(self, listener: Listener) -> None:
        """Call ``listener`` with every later event, in the emitting thread."""
        self._listeners.append(listener)

    def emit(self, kind: str, /, **fields: Any) -> Event:
        """Record that ``kind`` happened now, with ``fields`` that JSON can hold."""
        event: Event = {
            "t": time.monotonic_ns(),
            "at": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "kind": kind,
            "pid": os.getpid(),
            **fields,
        }
        line = json.dumps(self.secrets.document(event), ensure_ascii=False)
        with self._lock:
            if not self._file.closed:
                try:
                    self._file.write(line + "\n")
                    self._file.flush()
                except OSError as error:
                    self.failure = self.failure or error
        for listener in tuple(self._listeners):
            listener(event)
        return event

    def close(self) -> None:
        with self._lock:
            try:
                self._file.close()
            except OSError as error:  # what it still held has no room either
                self.failure = self.failure or error


def _lines(path: Path) -> Iterator[Event]:
    with path.open(encoding="utf-8", errors="replace") as file:
        for line in file:
            try:
                event = json.loads(line)
            except ValueError:
                continue
            if isinstance(event, dict) and "t" in event and "kind" in event:
                yield event


def read(directory: Path) -> list[Event]:
    """All events of a run directory in order of time, merged already or not."""
    merged = directory / "events.jsonl"
    if merged.exists():
        return list(_lines(merged))
    found = [event for path in sorted((directory / "events").glob("*.jsonl")) for event in _lines(path)]
    return sorted(found, key=lambda event: event["t"])


def stream(directory: Path) -> Iterator[Event]:
    """The same one by one, so that a long run needs little memory; in order of time."""
    merged = directory / "events.jsonl"
    yield from _lines(merged) if merged.exists() else read(directory)


def merge(directory: Path) -> Path:
    """Join the per-process files into ``events.jsonl`` and return it; the parts are kept until it is whole."""
    parts = sorted((directory / "events").glob("*.jsonl"))
    events = sorted((event for path in parts for event in _lines(path)), key=lambda event: event["t"])
    merged = directory / "events.jsonl"
    partial = merged.with_suffix(".jsonl.part")
    with partial.open("w", encoding="utf-8") as file:
        for event in events:
            file.write(json.dumps(event, default=str, ensure_ascii=False) + "\n")
    partial.replace(merged)
    for path in parts:
        path.unlink()
    (directory / "events").rmdir()
    return merged
