"""The observer: reads a load's records beside Locust, so that charts and verdicts take no time from the users.

``python -m pytest_enterprise.load.web.observer``: lines of JSON on stdin, one answer each on stdout. It ends with its
stdin. What it judges by is in the environment; see :mod:`pytest_enterprise.load.web.launch`.

``{"do": "load", "id": ..., "path": ..., "began": NS}``
    follow another load; ``path`` without suffix.
``{"do": "end", "ended": NS}``
    the load has ended: judge up to then.
``{"do": "state", "load": ID, "since": VERSION}``
    what changed since that version of that load, faults and verdicts. Times in seconds since the load began.
"""

from __future__ import annotations

import json
import os
import select
import sys
import time
from pathlib import Path
from typing import Any

from pytest_enterprise.control import client
from pytest_enterprise.errors import ConfigurationError, EnterpriseError
from pytest_enterprise.load.web import launch, objectives
from pytest_enterprise.load.web.series import Series
from pytest_enterprise.objectives.phases import Window

_LOOK_AGAIN = 2.0
"""Seconds between two searches for a stack that is up."""
_NONE = (
    "No stack is up here, so there is nothing to disturb. Start one beside this load, in the same directory: "
    "pytest-enterprise up STACK"
)


class Stack:
    """The faults of the stack that is up, if there is one."""

    def __init__(self) -> None:
        self._control: client.Control | None = None
        self._looked = 0.0
        self.faults: list[dict[str, Any]] = []
        self.why_not = _NONE

    def look(self) -> None:
        """Ask for the faults; those that were known stay known when the stack has gone."""
        if self._control is None:
            if time.monotonic() < self._looked + _LOOK_AGAIN:
                return
            self._looked = time.monotonic()
            try:
                self._control = client.find()
            except ConfigurationError as error:
                self.why_not = str(error)
            if self._control is None:
                return
        try:
            self.faults = self._control.get("/faults")["faults"]
            self.why_not = ""
        except EnterpriseError as error:
            self._control, self.why_not = None, str(error)


class Observer:
    """Answers the commands."""

    def __init__(self, judge: objectives.Judge, *, note: str) -> None:
        self._judge = judge
        self._note = note
        self._series: Series | None = None
        self._id = ""
        self._ended: int | None = None
        self._stack = Stack()

    def poll(self) -> None:
        """Keep up with the records, whether or not somebody asks."""
        if self._series:
            self._series.poll()

    def obey(self, command: dict[str, Any]) -> dict[str, Any]:
        """The answer to one command."""
        if command["do"] == "load":
            self._series = Series(Path(command["path"]), command["began"])
            self._id, self._ended = command["id"], None
            self._judge.clear()
            return {}
        if command["do"] == "end":
            self._ended = command["ended"]
            return {}
        return self._state(command)

    def _state(self, command: dict[str, Any]) -> dict[str, Any]:
        self.poll()
        self._stack.look()
        now = time.monotonic_ns()
        series = self._series
        began = series.began if series else now
        windows = [
            Window(fault["id"], fault["fault"], fault["target"], fault["began"], fault["ended"])
            for fault in self._stack.faults
        ]
        limits = self._judge.objectives
        verdicts: objectives.OfFaults = {}
        recent = [limit.verdict(None, "not judged", None, 0, "no load has begun") for limit in limits]
        if series:
            recent, verdicts = self._judge.judge(series, windows, self._ended or now)
        since = command["since"] if command["load"] == self._id else 0
        return {
            "load": self._id,
            "now": (now - began) / 1e9,
            "ended": None if self._ended is None else (self._ended - began) / 1e9,
            "version": series.version if series else 0,
            "skipped": series.skipped if series else 0,
            "seconds": series.changed(since) if series else [],
            "window": self._judge.window,
            "note": self._note,
            "objectives": [objectives.told(o, v) for o, v in zip(limits, recent, strict=True)],
            "faults": [
                {
                    **fault,
                    "began": (fault["began"] - began) / 1e9,
                    "ended": None if fault["ended"] is None else (fault["ended"] - began) / 1e9,
                    "lasted": ((fault["ended"] or now) - fault["began"]) / 1e9,
                    "verdicts": [objectives.told(o, v) for o, v in verdicts.get(fault["id"], ())],
                }
                for fault in self._stack.faults
            ],
            "why_no_stack": self._stack.why_not,
        }


def main() -> None:
    """Answer until stdin ends."""
    names = [name for name in os.environ.get(launch.OBJECTIVES, "").split(",") if name]
    why = ""
    try:
        window = objectives.seconds(os.environ.get(launch.WINDOW))
        limits = objectives.read(names, Path.cwd())
    except ConfigurationError as error:  # plain Locust asked nobody before
        window, limits, why = objectives.WINDOW, (), str(error)
    observer = Observer(objectives.Judge(limits, window), note=why or ("" if names else objectives.NOTE))
    rest = b""
    while True:
        if not select.select([0], [], [], 1.0)[0]:
            observer.poll()
            continue
        more = os.read(0, 65536)
        if not more:
            return
        *lines, rest = (rest + more).split(b"\n")
        for line in lines:
            answer = json.dumps(observer.obey(json.loads(line)))
            sys.stdout.write(answer + "\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
