"""What the functions of an experiment work with: the faults and the load of one test."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pytest_enterprise.errors import EnterpriseError, LoadFailed
from pytest_enterprise.faults.schedule import make
from pytest_enterprise.load import statistics

if TYPE_CHECKING:
    from pytest_enterprise.faults.active import ActiveFault
    from pytest_enterprise.faults.session import Faults
    from pytest_enterprise.load.generator import Load
    from pytest_enterprise.load.records import Request
    from pytest_enterprise.load.traffic import Traffic

_LATEST = 0.3
"""Seconds after which a request that has ended can be read."""


class Handle:
    """The faults and the loads of one experiment, made when they are first asked for."""

    def __init__(self, faults: Callable[[], Faults], load: Callable[[], Load]) -> None:
        self._make_faults = faults
        self._make_load = load
        self.traffic: Traffic | None = None
        self.faults: list[ActiveFault] = []
        self.failures: list[EnterpriseError] = []
        """What faults and load could not do: an experiment may pass over it, its test must not."""

    def begin_fault(self, kind: str, target: str, settings: Mapping[str, Any]) -> str:
        with self._noted():
            fault = self._make_faults().apply(make(kind, target, settings, "begin_fault")).begin()
        self.faults.append(fault)
        return fault.id

    def end_fault(self, id: str) -> int:
        on = [fault for fault in self.faults if fault.ended_ns is None and id in ("", fault.id)]
        for fault in reversed(on):
            with self._noted():
                fault.end()
        return len(on)

    def begin_load(self, locustfile: str, **settings: Any) -> str:
        with self._noted():
            self.traffic = self._make_load()(locustfile, **settings).begin()
        return self.traffic.id

    def end_load(self) -> int:
        traffic = self._running()
        with self._noted():
            traffic.end()
        return traffic.requests

    @contextlib.contextmanager
    def _noted(self) -> Iterator[None]:
        try:
            yield
        except EnterpriseError as error:
            self.failures.append(error)
            raise

    def _running(self) -> Traffic:
        if self.traffic is None:
            raise LoadFailed("no load has begun: call begin_load in an action before")
        return self.traffic

    def _requests(self, seconds: float | None) -> Sequence[Request]:
        traffic = self._running()
        if not traffic.finished:
            time.sleep(_LATEST)
        found = traffic.records()
        if seconds is not None:
            since = time.monotonic_ns() - int((seconds + _LATEST) * 1e9)
            found = [request for request in found if request.end >= since]
        if not found:
            raise LoadFailed(f"load {traffic.id} made no request in that time, so nothing can be said of it")
        return found

    def availability(self, seconds: float | None) -> float:
        found = self._requests(seconds)
        return sum(not request.error for request in found) / len(found)

    def latency(self, percentile: float, seconds: float | None) -> float:
        found = statistics.percentile(sorted(request.latency for request in self._requests(seconds)), percentile)
        assert found is not None, "there are requests"
        return found

    def close(self) -> None:
        """End what the experiment left on."""
        with contextlib.suppress(EnterpriseError):  # it is noted
            self.end_fault("")
        if self.traffic and self.traffic.running:
            with contextlib.suppress(EnterpriseError):
                self.end_load()
