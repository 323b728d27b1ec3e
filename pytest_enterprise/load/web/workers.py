"""Records of Locust's workers, brought together at their master, so that its page shows all of a distributed load.

A worker records as a single process does, into a folder that goes with it, and sends what was added four times a
second. The master puts one after the other, under numbers of its own. Moments are CLOCK_MONOTONIC's, which only
processes of one machine share: of workers elsewhere the master takes nothing, and says so.
"""

from __future__ import annotations

import json
import secrets
import shutil
import tempfile
from collections import Counter
from pathlib import Path
from time import monotonic_ns
from typing import Any

import gevent

from pytest_enterprise.load.recorder import Recorder
from pytest_enterprise.load.records import RECORD, RecordWriter

MESSAGE = "pytest-enterprise records"
OPTION = "enterprise_records"
"""By which a master, among the options that it hands to its workers, asks for the records of a load."""
EVERY = 0.25
"""Seconds between two messages of a worker."""
_SILENT = 3.0
"""Seconds after which a worker that tells nothing is told of."""
_INDEX = ".index.jsonl"
_LINES = (".operations.jsonl", ".unexpected.jsonl", ".slowest.jsonl")


def this_machine() -> str:
    """Differs between machines, and between two boots of one."""
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()


class Worker:
    """A worker's side."""

    def __init__(self, environment: Any) -> None:
        self._environment = environment
        self._recorder: Recorder | None = None
        self._folder = ""
        self._load = 0
        self._read: Counter[str] = Counter()
        """Bytes of each file that were sent."""
        self._sender: Any = None
        environment.events.test_start.add_listener(self._begin)
        environment.events.test_stop.add_listener(self._end)
        environment.events.quitting.add_listener(self._end)

    def _begin(self, **_: Any) -> None:
        self._end()
        self._load = getattr(self._environment.parsed_options, OPTION, 0)
        if not self._load:  # the master has no page
            return
        self._folder = tempfile.mkdtemp(prefix="pytest-enterprise-worker-")
        self._recorder = recorder = Recorder(Path(self._folder) / "load", secrets.randbits(48))
        self._environment.enterprise = recorder
        events = self._environment.events
        events.request.add_listener(recorder.on_request)
        events.user_error.add_listener(recorder.on_user_error)
        self._read.clear()
        self._sender = gevent.spawn(self._send_often)

    def _send_often(self) -> None:
        while True:
            self._send()
            gevent.sleep(EVERY)

    def _send(self, *, final: bool = False) -> None:
        assert self._recorder is not None
        if not final:
            self._recorder.flush()
        told = {
            "load": self._load,
            "machine": this_machine(),
            "requests": self._more(".requests"),
            "index": self._more(_INDEX).decode(),
            "lines": {suffix: more.decode() for suffix in _LINES if (more := self._more(suffix))},
            "errors": dict(self._recorder.user_errors),
            "final": final,
        }
        self._environment.runner.send_message(MESSAGE, told)

    def _more(self, suffix: str) -> bytes:
        path = Path(f"{self._folder}/load{suffix}")
        if not path.exists():
            return b""
        with path.open("rb") as file:
            file.seek(self._read[suffix])
            more = file.read()
        self._read[suffix] += len(more)
        return more

    def _end(self, **_: Any) -> None:
        recorder = self._recorder
        if recorder is None:
            return
        self._sender.kill()
        events = self._environment.events
        events.request.remove_listener(recorder.on_request)
        events.user_error.remove_listener(recorder.on_user_error)
        recorder.close()
        self._send(final=True)
        self._recorder = self._environment.enterprise = None
        shutil.rmtree(self._folder, ignore_errors=True)


class _Told:
    """What is known of one worker."""

    def __init__(self, index: int) -> None:
        self.index = index
        self.names: dict[int, str] = {}
        self.errors: dict[int, str] = {0: ""}
        self.user_errors: dict[str, int] = {}
        self.last = monotonic_ns()
        self.final = False
        self.elsewhere = False

    @property
    def silent(self) -> float:
        """Seconds since its last message."""
        return (monotonic_ns() - self.last) / 1e9


class Merged:
    """The records of all workers of one load, as a :class:`Recorder` has those of one process."""

    def __init__(self, path: Path, load: int, workers: dict[str, int]) -> None:
        """``load`` is the number by which it was asked for, ``workers`` are their indices by Locust's name for them."""
        self.path = path
        self.load = load
        self.failures = 0
        self._writer = RecordWriter(path)
        self._lines = dict.fromkeys(_LINES, "")
        self._workers = {id: _Told(index) for id, index in workers.items()}
        self._missed: str | None = None
        """What was missing when it was closed."""

    @property
    def requests(self) -> int:
        """Recorded so far."""
        return self._writer.count

    @property
    def user_errors(self) -> Counter[str]:
        """What the locustfile raised, in all workers."""
        return sum((Counter(told.user_errors) for told in self._workers.values()), Counter())

    @property
    def settled(self) -> bool:
        """Whether nothing more is to be expected: each worker has told its last, or nothing for a while."""
        return all(told.final or told.silent > _SILENT for told in self._workers.values())

    def take(self, id: str, index: int, data: dict[str, Any]) -> None:
        """A message of a worker; those of another load are dropped."""
        if data["load"] != self.load:
            return
        told = self._workers.setdefault(id, _Told(index))
        told.last, told.final = monotonic_ns(), data["final"]
        told.user_errors = data["errors"]
        if data["machine"] != this_machine():
            told.elsewhere = True
            return
        for line in data["index"].splitlines():
            entry = json.loads(line)
            if "name" in entry:
                told.names[entry["number"]] = entry["name"]
            else:
                told.errors[entry["number"]] = entry["error"]
        add = self._writer.add
        for start, micros, name, outcome, size in RECORD.iter_unpack(data["requests"]):
            self.failures += bool(outcome)
            add(start, micros / 1e6, told.names[name], told.errors[outcome], size)
        for suffix, lines in data["lines"].items():
            self._lines[suffix] += lines

    def missing(self) -> str:
        """What is not among the records, in words; empty when all of it is."""
        if self._missed is not None:
            return self._missed
        found = []
        for told in sorted(self._workers.values(), key=lambda told: told.index):
            if told.elsewhere:
                found.append(f"worker {told.index} runs on another machine, whose clock is not this one's")
            elif not told.final and told.silent > _SILENT:
                since = max(0.0, (told.last - self.load) / 1e9)
                found.append(f"worker {told.index} is lost: what it did after {since:.1f} s is unknown")
        return "; ".join(found)

    def flush(self) -> None:
        """Make everything that came visible to readers. Raises OSError."""
        self._writer.flush()
        for suffix, lines in self._lines.items():
            if lines:
                with self.path.with_name(self.path.name + suffix).open("a", encoding="utf-8") as file:
                    file.write(lines)
                self._lines[suffix] = ""

    def close(self) -> None:
        self._missed = self.missing()
        self.flush()
        self._writer.close()


def begin(environment: Any, path: Path) -> Merged:
    """Ask the workers for the records of the load that is about to begin, into ``path`` (without suffix)."""
    runner = environment.runner
    load = monotonic_ns()
    setattr(environment.parsed_options, OPTION, load)
    clients = runner.clients
    active = [*clients.ready, *clients.running, *clients.spawning]
    return Merged(path, load, {client.id: runner.get_worker_index(client.id) for client in active})


def install(environment: Any) -> None:
    """Make a worker send its records when its master asks for them."""
    if not getattr(environment, "enterprise_worker", None):
        environment.enterprise_worker = Worker(environment)
