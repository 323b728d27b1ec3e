"""What the control interface does with faults: begins and ends them on a stack that is held, and remembers them all."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator, Mapping
from typing import Any

from pytest_enterprise.errors import ActedOnNothing, ConfigurationError, FaultFailed, nearest
from pytest_enterprise.events import Event
from pytest_enterprise.faults import description, schedule
from pytest_enterprise.faults.active import ActiveFault
from pytest_enterprise.faults.catalogue import KINDS
from pytest_enterprise.faults.session import Faults
from pytest_enterprise.live import LiveStack

TEST = "up"
"""In place of a test's name in the events of faults that a person began."""
_KEYS = ("fault", "target", "settings")


class HeldFaults:
    """The faults of a stack that is held. Its methods may be called from several threads."""

    def __init__(self, live: LiveStack) -> None:
        self._live = live
        self._faults = Faults(live, TEST)
        self._ended: dict[str, Event] = {}
        self._closing = False
        self._idle = threading.Condition()
        self._busy = 0
        live.run.events.subscribe(self._note)

    def _note(self, event: Event) -> None:
        if event["kind"] == "fault.ended" and event.get("test") == TEST:
            self._ended[event["fault"]] = event

    def begin(self, document: Mapping[str, Any]) -> dict[str, Any]:
        """Begin the fault that a document (``fault``, ``target``, ``settings``) means; tells it as :meth:`all` does.

        Raises ConfigurationError when it cannot be meant, FaultFailed and EngineFailed when it cannot be had.
        """
        if extra := set(document) - set(_KEYS):
            raise ConfigurationError(f"unknown key {min(extra)!r}. {nearest(min(extra), _KEYS)}")
        kind, given = document.get("fault"), document.get("settings", {})
        if not isinstance(kind, str):
            raise ConfigurationError(f"fault={kind!r} is no fault. {nearest('', KINDS)}")
        for checked in (kind, given.get("fault") if isinstance(given, Mapping) else None):
            if isinstance(checked, str) and checked in KINDS and isinstance(given, Mapping):
                description.check_types(checked, given)
        fault = schedule.make(kind, document.get("target"), given, "begin")
        with self._work():
            return self._told(self._faults.apply(fault).begin())

    def end(self, id: str) -> dict[str, Any]:
        """End a fault; what it then tells has a ``warning`` when nothing had met it.

        Raises ConfigurationError when there is none of this id that is on, FaultFailed when it cannot be undone.
        """
        with self._work():
            on = {fault.id: fault for fault in tuple(self._faults.active) if fault.began_ns is not None}
            if id not in on:
                raise ConfigurationError(f"no fault {id!r} is on. {nearest(id, on)}")
            try:
                on[id].end()
            except ActedOnNothing as error:
                return {**self._told(on[id]), "warning": str(error)}
            return self._told(on[id])

    def all(self) -> list[dict[str, Any]]:
        """Every fault that began, in that order, those that are on too; times are CLOCK_MONOTONIC in ns."""
        return [self._told(fault) for fault in tuple(self._faults.all) if fault.began_ns is not None]

    @contextlib.contextmanager
    def _work(self) -> Iterator[None]:
        """A beginning or an end that goes on: the stack is not ended in the middle of it."""
        with self._idle:
            if self._closing:
                raise FaultFailed("the stack is being ended: nothing begins any more")
            self._busy += 1
        try:
            yield
        finally:
            with self._idle:
                self._busy -= 1
                self._idle.notify_all()

    def _told(self, fault: ActiveFault) -> dict[str, Any]:
        ended = self._ended.get(fault.id, {})
        return {
            "id": fault.id,
            "fault": fault.fault.kind,
            "target": fault.fault.target,
            "targets": fault.targets,
            "settings": fault.fault.settings,
            "began": fault.began_ns,
            "ended": fault.ended_ns,
            "proof": ended.get("proof"),
            "acted": ended.get("acted"),
            "evidence": ended.get("evidence"),
        }

    def close(self, *, patience: float = 10.0) -> None:
        """Begin nothing more, and end all that are on. Raises FaultFailed when one cannot be undone."""
        ends = time.monotonic() + patience
        with self._idle:
            self._closing = True
            while self._busy and (left := ends - time.monotonic()) > 0:
                self._idle.wait(left)
        self._faults.close(failed=True)
