"""Records each load that is begun in the web UI, as the ``load`` fixture does, and tells the observer of it."""

from __future__ import annotations

import os
import secrets
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gevent
from locust.runners import MasterRunner

from pytest_enterprise.control import client
from pytest_enterprise.errors import ConfigurationError, EnterpriseError, cannot_write
from pytest_enterprise.events import EventLog
from pytest_enterprise.load import notation
from pytest_enterprise.load.arrivals import Arrivals
from pytest_enterprise.load.recorder import Recorder
from pytest_enterprise.load.web import launch, workers

_FLUSH = 0.25
"""Seconds between flushes of the records."""


def loop_of(environment: Any) -> str:
    """``open`` when journeys begin at intended moments, ``closed`` when users wait for answers first, or ``mixed``."""
    if not getattr(environment.parsed_options, "arrivals", ""):
        return "closed"
    follow = [any(base.__name__ == "Paced" for base in cls.__mro__) for cls in environment.user_classes]
    return "open" if all(follow) else "mixed"


def _pattern(environment: Any) -> Arrivals | None:
    """The arrivals of an open loop; None for a closed one, and for what Locust will refuse."""
    try:
        return notation.arrivals(environment.parsed_options.arrivals)
    except (AttributeError, ConfigurationError):
        return None


class Recording:
    """The loads of one web UI, one after the other.

    They go into the run directory that is given, else into that of the stack that is up, else into a temporary one that
    is removed at the end.
    """

    def __init__(self, environment: Any, tell: Callable[[dict[str, Any]], Any]) -> None:
        self._environment = environment
        self._tell = tell
        self._recorder: Recorder | workers.Merged | None = None
        self._waiting = False
        """The load has ended, and some workers have not told their last."""
        self._flusher: Any = None
        self._temporary = ""
        self._control: client.Control | None = None
        self._directory, host = self._place()
        self._events = None if self._temporary or self._control else EventLog(self._directory)
        if host and not environment.host:
            environment.host = host
        self.id = ""
        self.began = self._ended = 0
        self._open = False
        """Requests are still taken."""
        self.problem = ""
        """Why the load is not recorded any more; empty while it is."""
        events = environment.events
        events.test_start.add_listener(self._begin)
        events.test_stop.add_listener(self._end)
        events.quitting.add_listener(self._quit)
        if isinstance(environment.runner, MasterRunner):
            environment.runner.register_message(workers.MESSAGE, self._take)

    def _place(self) -> tuple[Path, str]:
        """The run directory, and where load reaches the stack that is up (empty without one)."""
        given = os.environ.get(launch.DIRECTORY)
        try:
            stack = client.find()
            about = stack.get("/") if stack else {}
        except EnterpriseError:
            stack, about = None, {}
        host = next(iter(about.get("hosts", ())), "")
        if directory := given or about.get("directory"):
            self._control = stack if directory == about.get("directory") else None
            return Path(directory), host
        self._temporary = tempfile.mkdtemp(prefix="pytest-enterprise-load-")
        return Path(self._temporary), host

    def figures(self) -> dict[str, Any]:
        """What is known without reading the records."""
        runner = self._environment.runner
        recorder = self._recorder
        pattern = _pattern(self._environment)
        return {
            "id": self.id,
            "state": runner.state,
            "users": runner.user_count,
            "requests": recorder.requests if recorder else 0,
            "failures": recorder.failures if recorder else 0,
            "loop": loop_of(self._environment),
            "arrivals": notation.words(pattern) if pattern else "",
            "behind": self._arrivals().get("behind", ""),
            "locustfile": self._environment.locustfile or "",
            "host": self._environment.host or "",
            "directory": "" if self._temporary else str(self._directory),
            "workers": runner.worker_count if isinstance(runner, MasterRunner) else 0,
            "missing": recorder.missing() if isinstance(recorder, workers.Merged) else "",
            "problem": self.problem,
        }

    def _arrivals(self) -> dict[str, Any]:
        """Of an open loop: how many arrivals were due and made, and why nothing can be judged by them."""
        hooks = getattr(self._environment, "enterprise_open_loop", None)
        return dict(hooks.figures()) if hooks else {}

    def _begin(self, **_: Any) -> None:
        self._finish()
        stem = Path(self._environment.locustfile or "load").stem.partition(",")[0]
        folder = self._directory / "load"
        number = 1
        while (folder / f"{stem}-{number}.requests").exists():
            number += 1
        self.id, self.problem = f"{stem}-{number}", ""
        recorder: Recorder | workers.Merged
        if isinstance(self._environment.runner, MasterRunner):
            recorder = workers.begin(self._environment, folder / self.id)
        else:
            recorder = self._environment.enterprise = Recorder(folder / self.id, secrets.randbits(48))
            self._listen(recorder, on=True)
        self._recorder, self._open = recorder, True
        self.began = time.monotonic_ns()
        self._flusher = gevent.spawn(self._flush, recorder)
        self._tell({"do": "load", "id": self.id, "path": str(folder / self.id), "began": self.began})
        pattern = _pattern(self._environment)
        self._emit(
            "load.started",
            load=self.id,
            arrivals=pattern and pattern.document(),
            locustfile=self._environment.locustfile,
            users=self._environment.runner.target_user_count,
            host=self._environment.host,
            file=f"load/{self.id}",
            closed_loop=loop_of(self._environment) == "closed",
        )

    def _emit(self, kind: str, **fields: Any) -> None:
        """Into the events of the run; those of a stack that is up are written by the stack, beside its faults."""
        if self._control:
            try:
                self._control.tell(kind, fields)
            except EnterpriseError as error:
                print(f"pytest-enterprise: {error}", file=sys.stderr)  # noqa: T201
        elif self._events:
            if kind == "load.started":
                self._events.emit("test.started", test=self.id, scenario=True, title="A load of the web UI")
            self._events.emit(kind, test=self.id, **fields)
            if kind == "load.finished":
                self._events.emit("test.finished", test=self.id, outcome="passed", seconds=fields["seconds"])

    def _take(self, msg: Any, **_: Any) -> None:
        """On a master: what a worker has recorded."""
        recorder = self._recorder
        if self._open and not self.problem and isinstance(recorder, workers.Merged):
            recorder.take(msg.node_id, self._environment.runner.get_worker_index(msg.node_id), msg.data)

    def _flush(self, recorder: Recorder | workers.Merged) -> None:
        try:
            while True:
                gevent.sleep(_FLUSH)
                recorder.flush()
                if self._waiting and isinstance(recorder, workers.Merged) and recorder.settled:
                    gevent.spawn(self._finish)  # which ends this greenlet
                    return
        except OSError as error:
            if isinstance(recorder, Recorder):
                self._listen(recorder, on=False)
            self.problem = str(cannot_write(self._directory, error))
            print(f"pytest-enterprise: {self.problem}", file=sys.stderr)  # noqa: T201

    def _listen(self, recorder: Recorder, *, on: bool) -> None:
        events = self._environment.events
        for hook, listener in ((events.request, recorder.on_request), (events.user_error, recorder.on_user_error)):
            (hook.add_listener if on else hook.remove_listener)(listener)

    def _end(self, **_: Any) -> None:
        recorder = self._recorder
        self._ended = time.monotonic_ns()
        # A master that leaves says that the load has ended before its workers have said what they did last.
        self._waiting = self._open and isinstance(recorder, workers.Merged) and not recorder.settled
        if not self._waiting:
            self._finish()

    def _finish(self) -> None:
        recorder = self._recorder
        if recorder is None or not self._open:
            return
        ended = self._ended if self._waiting else time.monotonic_ns()
        self._open = self._waiting = False
        self._environment.enterprise = None
        self._flusher.kill()
        if not self.problem:
            if isinstance(recorder, Recorder):
                self._listen(recorder, on=False)
            recorder.close()
        arrivals = self._arrivals()
        missing = recorder.missing() if isinstance(recorder, workers.Merged) else ""
        self._tell({"do": "end", "ended": ended})
        self._emit(
            "load.finished",
            load=self.id,
            requests=recorder.requests,
            failures=recorder.failures,
            seconds=(ended - self.began) / 1e9,
            reason=f"load {self.id} is not whole: {missing}" if missing else "asked",
            cpu_seconds=time.process_time(),
            user_errors=dict(recorder.user_errors.most_common(20)),
            behind=arrivals.pop("behind", ""),
            arrivals=arrivals,
        )

    def _quit(self, **_: Any) -> None:
        self._finish()
        if self._events:
            self._events.close()
        if self._temporary:
            shutil.rmtree(self._temporary, ignore_errors=True)
