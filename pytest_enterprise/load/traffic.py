"""One load, seen from the parent: begun and ended by a test, made by a process of its own."""

from __future__ import annotations

import itertools
import json
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, TYPE_CHECKING, Any, TypeVar

from pytest_enterprise.errors import ConfigurationError, LoadFailed, cannot_write
from pytest_enterprise.load import checks
from pytest_enterprise.load.arrivals import Rates, from_document
from pytest_enterprise.load.records import Request
from pytest_enterprise.load.sampling import Cpu, CpuSampler
from pytest_enterprise.run import VARIABLE

if TYPE_CHECKING:
    from pytest_enterprise.load.recorded import Recording
    from pytest_enterprise.objectives.phases import Window
    from pytest_enterprise.run import Run

Kind = TypeVar("Kind", bound="Traffic")

_START = 30.0
"""Seconds for Locust to be imported and the locustfile too."""
_STOP = 10.0
"""Seconds for the users to end; they give themselves two."""


class Traffic:
    """One load: begins with ``with`` or :meth:`begin`, is stopped at the end of the block or by :meth:`end`."""

    program = "pytest_enterprise.load.locust_child"
    """The module that makes the load, in a process of its own."""

    def __init__(self, run: Run, test: str, link: str | None, settings: dict[str, Any]) -> None:
        self.settings = settings
        self.started = 0
        """CLOCK_MONOTONIC in ns at which the first users were spawned; 0 before."""
        self.stopped = 0
        """CLOCK_MONOTONIC in ns at which the last user had ended; 0 before."""
        self.requests = 0
        """Recorded so far (four updates a second)."""
        self.failures = 0
        """Of those, how many failed."""
        self.active_users = 0
        """Users that run."""
        self.user_errors: dict[str, int] = {}
        """Exceptions in the locustfile's tasks, with their number; known when the load has ended."""
        self.cpu_seconds = 0.0
        """CPU time the generator took; known when the load has ended."""
        self.arrivals: dict[str, Any] = {}
        """Of an open loop: arrivals that were ``due``, ``made``, and made ``late``; the worst ``lag`` in seconds."""
        self.behind = ""
        """Why nothing can be judged by an open loop, which has not kept to its arrivals so far; empty when it has."""
        self.recording: Recording | None = None
        """Of a replay: what was read, and what was left out; ``recording.summary()`` tells it in lines."""
        self._run = run
        self._test = test
        self._link = link
        self._process: subprocess.Popen[bytes] | None = None
        self._changed = threading.Condition()
        self._reason = ""
        self._error = ""
        self._lost = ""
        """What is not recorded because it died; empty while it lives."""
        self._mistake = ""
        self._closed = False
        self._listener: threading.Thread | None = None
        self._announced = False
        self._sampler: CpuSampler | None = None
        self.engines_cpu: Cpu | None = None
        """Tells the CPU seconds of each engine, to be sampled while it runs."""
        self.id = ""

    @property
    def stem(self) -> str:
        """What the identifiers of such loads begin with."""
        return Path(self.settings["locustfile"]).stem

    @property
    def description(self) -> dict[str, Any]:
        """What the event of its start tells of it."""
        told = {name: self.settings[name] for name in ("locustfile", "users", "arrivals")}
        return told if self.recording is None else {**told, "replayed": self.recording.document()}

    @property
    def closed_loop(self) -> bool:
        """Whether users wait for an answer before they send again; arrivals are sent when they are meant to be."""
        return not self.settings["arrivals"]

    @property
    def path(self) -> Path:
        """The record files, without suffix."""
        return self._run.directory / "load" / self.id

    @property
    def running(self) -> bool:
        """True from :meth:`begin` until it has ended, by :meth:`end`, by itself or by an accident."""
        return self._process is not None and not self._closed

    @property
    def finished(self) -> bool:
        """True when its users have ended, by :meth:`end`, after its ``seconds`` or with its shape."""
        return bool(self._reason) or self._closed

    def begin(self) -> Traffic:
        """Start Locust and its users; returns when they are being spawned. Raises LoadFailed, ConfigurationError."""
        if self._process is not None:
            raise LoadFailed(f"load {self.id} has been begun already; make another one with load(...)")
        self.id, log = _new_id(self._run, re.sub(r"[^\w-]", "-", self.stem))
        receive, send = os.pipe()
        with log:
            try:
                self._process = subprocess.Popen(
                    (sys.executable, "-m", self.program, str(send)),
                    stdin=subprocess.PIPE,
                    stdout=log,
                    stderr=log,
                    pass_fds=(send,),
                    start_new_session=True,  # Ctrl-C is ours to handle: the load ends in good order
                    env={**os.environ, VARIABLE: self._run.id},
                )
            finally:
                os.close(send)
        self._listener = threading.Thread(target=self._listen, args=(receive,), name=f"load {self.id}", daemon=True)
        self._listener.start()
        try:
            self._send({**self.settings, "record": str(self.path), "parent": os.getpid()})
            self._wait(lambda: bool(self.started), _START, f"load {self.id} was not ready after {_START:.0f} s")
        except BaseException:
            self._close()
            raise
        self._run.events.emit(
            "load.started",
            load=self.id,
            test=self._test,
            host=self.settings["host"],
            link=self._link,
            file=f"load/{self.id}",
            closed_loop=self.closed_loop,
            **self.description,
        )
        self._announced = True
        told = {"load": self.id, "test": self._test}
        self._sampler = CpuSampler(self._run.events.emit, told, self._process.pid, self.engines_cpu)
        self._sampler.begin()
        return self

    def end(self) -> None:
        """Stop the users and wait for them; requests under way get two seconds. Does nothing when it has ended.

        Raises LoadFailed when the generator had died before, or when no task of the locustfile got to any request.
        """
        if self._process is None or self._closed:
            return
        try:
            if not self._reason:
                self._send({"do": "stop"})
            self._wait(lambda: bool(self._reason), _STOP, f"load {self.id} did not stop within {_STOP:.0f} s")
        finally:
            self._close()
        if self.user_errors and not self.requests:
            first = next(iter(self.user_errors))
            raise LoadFailed(f"load {self.id} made no request: its tasks raised {first}{self._last_lines()}")

    stop = end

    def run_for(self, seconds: float) -> None:
        """Let the load run on for that long; LoadFailed at once when the generator dies meanwhile."""
        checks.number("seconds", seconds)
        end = time.monotonic() + seconds
        self._wait(lambda: time.monotonic() >= end, seconds + 1, "")

    def wait_for_requests(self, count: int, timeout: float = 30.0) -> None:
        """Return when ``count`` requests were recorded; LoadFailed after ``timeout`` seconds."""
        self._wait(
            lambda: self.requests >= count,
            timeout,
            f"load {self.id} did not make {count} requests within {timeout:g} s",
        )

    def wait(self, timeout: float = 86400.0) -> None:
        """Return when it has ended by itself, after its ``seconds`` or at the end of the locustfile's shape."""
        self._wait(lambda: bool(self._reason), timeout, f"load {self.id} was still running after {timeout:g} s")

    def users(self, count: int, rate: float | None = None) -> None:
        """Change the number of users, ``rate`` of them per second (all at once when None)."""
        checks.number("users", count, whole=True)
        checks.number("rate", rate)
        self._check()
        if not self.closed_loop:
            raise LoadFailed(f"load {self.id} is an open loop: its arrivals decide how many users it has")
        if self._reason:
            raise LoadFailed(f"load {self.id} has ended ({self._reason}); its users cannot be changed")
        self._send({"do": "users", "count": count, "rate": rate or count})

    def records(self) -> Sequence[Request]:
        """Every request recorded so far, in the order in which they ended; see :class:`columns.Columns`."""
        from pytest_enterprise.load.columns import Columns

        return Columns.read(self.path) if self.path.with_suffix(".requests").exists() else []

    def stretches(self) -> list[Window]:
        """When each rate of its arrivals was on (each step; before, in and after a spike), to be judged like a fault.

        ``objectives.check(..., faults=traffic.stretches())`` gives a verdict for each. Those that had not begun when
        the load ended are left out. Raises ConfigurationError for a closed loop and for a trace, which have no rates.
        """
        from pytest_enterprise.objectives.phases import Window

        pattern = None if self.closed_loop else from_document(self.settings["arrivals"])
        if not isinstance(pattern, Rates):
            loop = "a closed loop" if pattern is None else f"arrivals of the kind {pattern.kind!r}"
            raise ConfigurationError(f"load {self.id} is {loop}, which has no rates; give arrivals=Step(...)")
        found, began = [], 0.0
        stopped = self.stopped or time.monotonic_ns()
        for number, piece in enumerate(pattern.pieces, 1):
            first, last = (self.started + round(min(at, 1e9) * 1e9) for at in (began, began + piece.seconds))
            if first < stopped:
                rates = dict.fromkeys(f"{rate:g}" for rate in (piece.first, piece.last))
                told = f"{' to '.join(rates)} per second"
                found.append(Window(f"{self.id}-{number}", pattern.kind, told, first, min(last, stopped)))
            began += piece.seconds
        return found

    def operations(self) -> list[dict[str, Any]]:
        """What users noted with ``self.acknowledged(...)``: ``t``, ``key``, ``status`` and what else they gave."""
        return self._lines(".operations.jsonl")

    def unexpected(self) -> list[dict[str, Any]]:
        """Of each failed request that was sent: ``start``, ``name``, ``error``, ``trace_id`` and, where there was an
        answer, its ``status``, ``size`` and ``sha256`` (of its first MiB). After 10,000 only the number ``left_out`` is
        told.
        """
        return self._lines(".unexpected.jsonl")

    def slowest(self) -> list[dict[str, Any]]:
        """Of each success that was among the three slowest of its name within a moment of its end, ``start``, ``name``
        and ``trace_id``; about 10,000 at most, and only of loads that send trace ids.
        """
        return self._lines(".slowest.jsonl")

    def _lines(self, suffix: str) -> list[dict[str, Any]]:
        path = self.path.with_suffix(suffix)
        if not path.exists():
            return []
        with path.open(encoding="utf-8") as file:
            return [json.loads(line) for line in file if line.endswith("\n")]

    def _send(self, command: Mapping[str, Any]) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(command).encode() + b"\n")
            self._process.stdin.flush()
        except (BrokenPipeError, ValueError):
            pass  # it died: _listen sees the end of its events and says why

    def _listen(self, descriptor: int) -> None:
        with os.fdopen(descriptor, encoding="utf-8") as events:
            for line in events:
                try:
                    event = json.loads(line)
                except ValueError:  # cut short by its death
                    break
                with self._changed:
                    self._take(event)
                    self._changed.notify_all()
        with self._changed:
            if not self._reason and not self._mistake and not self._closed:
                self._error = f"load {self.id} died"
                told = f"{self.requests:,} requests were recorded"
                self._lost = f": {told}, those that ended in its last quarter of a second are lost"
            self._changed.notify_all()

    def _take(self, event: dict[str, Any]) -> None:
        kind = event["event"]
        if kind == "ready":
            self.started = event["t"]
        elif kind == "error":
            self._mistake = event["message"]
        else:
            self.requests, self.failures = event["requests"], event["failures"]
            self.active_users = event["users"]
            self._take_arrivals(event.get("arrivals") or {})
            if kind == "finished":
                self.stopped = event["t"]
                self.user_errors = event["user_errors"]
                self.cpu_seconds = event["cpu_seconds"]
                self._reason = event["reason"]
                if self._reason in ("stopped itself", "terminated"):
                    self._error = f"load {self.id} ended although nobody had asked for it ({self._reason})"

    def _take_arrivals(self, figures: dict[str, Any]) -> None:
        self.behind = str(figures.pop("behind", ""))
        self.arrivals = figures

    def _check(self) -> None:
        if self._process is None:
            raise LoadFailed("this load has not been begun; use it in a with block, or call begin()")
        if self._mistake:
            raise ConfigurationError(f"{self._mistake}{self._last_lines()}")
        if self._error:
            status = ""
            if self._lost:
                try:
                    status = f" with {_exit_status(self._process.wait(1))}"
                except subprocess.TimeoutExpired:
                    status = ", or closed its events"
            raise LoadFailed(f"{self._error}{status}{self._lost}{self._last_lines()}")

    def _wait(self, condition: Callable[[], bool], timeout: float, message: str) -> None:
        deadline = time.monotonic() + timeout
        with self._changed:
            while True:
                self._check()
                if condition():
                    return
                left = deadline - time.monotonic()
                if left <= 0:
                    if not message:
                        return
                    raise LoadFailed(
                        f"{message}: {self.requests} requests, {self.failures} failed, {self.active_users} users"
                        f"{self._last_lines()}"
                    )
                self._changed.wait(min(left, 0.05))

    def _last_lines(self, count: int = 12) -> str:
        log = self.path.with_suffix(".log")
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()[-count:] if log.exists() else []
        return f"\nthe last lines of {log}:\n" + "\n".join(f"  {line}" for line in lines) if lines else ""

    def _close(self) -> None:
        """End the process whatever it does, and say so in the events."""
        if self._closed or self._process is None:
            return
        self._closed = True
        if self._sampler:
            self._sampler.end()
        assert self._process.stdin is not None
        try:
            if self._reason or self._error or self._mistake:  # it is leaving by itself
                self._process.wait(5)
            else:
                self._process.kill()
        except subprocess.TimeoutExpired:
            self._process.kill()
        try:
            self._process.stdin.close()
        except BrokenPipeError:
            pass
        self._process.wait()
        if self._listener:
            self._listener.join(5)
        self.stopped = self.stopped or time.monotonic_ns()
        if self._announced and self.behind:
            self._run.events.emit("load.behind", load=self.id, test=self._test, reason=self.behind)
        if self._announced:
            self._run.events.emit(
                "load.finished",
                load=self.id,
                test=self._test,
                requests=self.requests,
                failures=self.failures,
                seconds=(self.stopped - self.started) / 1e9,
                reason=self._reason or f"{self._error}{self._lost}",
                cpu_seconds=self.cpu_seconds,
                user_errors=self.user_errors,
                arrivals=self.arrivals,
                behind=self.behind,
            )

    def __enter__(self) -> Traffic:
        return self.begin()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if error is None:
            self.end()
            return
        try:
            self.end()
        except LoadFailed as failed:
            error.add_note(str(failed))

    async def __aenter__(self) -> Traffic:
        import asyncio

        return await asyncio.to_thread(self.begin)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        import asyncio

        await asyncio.to_thread(self.__exit__, kind, error, at)


def _new_id(run: Run, stem: str) -> tuple[str, IO[bytes]]:
    """An identifier that no other load of the run has, in whatever process, and its log file."""
    folder = run.directory / "load"
    for number in itertools.count(1):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            return f"{stem}-{number}", (folder / f"{stem}-{number}.log").open("xb")
        except FileExistsError:
            continue
        except OSError as error:
            raise cannot_write(folder, error) from error
    raise AssertionError


def _exit_status(code: int) -> str:
    return f"exit code {code}" if code >= 0 else f"signal {-code}"
