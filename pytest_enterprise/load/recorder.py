"""The recorder in the load's own process: from Locust's events to records on the run's clock."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path
from time import monotonic_ns, time_ns
from typing import Any

from pytest_enterprise.load.exemplars import Exemplars
from pytest_enterprise.load.records import WRONG, RecordWriter, trace_ids

UNFINISHED = "unfinished"
"""The error of a request that was still under way when its user was stopped."""

DISTINCT = 1000
"""Different texts of exceptions that are counted apart; of further ones the type alone."""

_STEP = 5_000_000
"""A change of the wall clock, in ns within a quarter of a second, that slewing cannot explain."""
_NUMBERS = re.compile(r"0x[0-9a-fA-F]+|\d{4,}|[0-9a-fA-F]{8}-[0-9a-fA-F-]{27}")


def kind_of(failure: Any, response: Any = None) -> str:
    """What Locust's ``exception`` is recorded as: ``HTTP 503``, ``TimeoutError``, the text of a failed check.

    A check that found an answer wrong is told from one that found none, or a refusal, by the status of ``response``.
    """
    failure = getattr(failure, "original", None) or failure
    kind = getattr(failure, "kind", None)  # a refusal in a protocol's own words
    if isinstance(kind, str):
        return kind
    name = type(failure).__name__
    if name == "LocustBadStatusCode":
        return f"HTTP {failure.code}"
    if name == "HTTPError" and getattr(failure, "response", None) is not None:
        return f"HTTP {failure.response.status_code}"
    if name in ("CatchResponseError", "ResponseError", "str"):
        # What differs in every answer (identifiers, addresses) would make every failure a kind of its own.
        text = _NUMBERS.sub("...", str(failure))[:120] or "check failed"
        status = getattr(response, "status_code", 200)
        good = isinstance(status, int) and 0 < status < 400 and (response is not None or name != "str")
        return f"{WRONG}{text}" if good and not text.startswith(WRONG) else text
    return name


class Recorder:
    """Records requests and operations below ``path`` (without suffix) and counts them; flush it several times a second.

    The start of a request is its intended moment where it has one (the open loop), else the moment Locust noted on the
    wall clock, put onto CLOCK_MONOTONIC. Its latency alone would not do: the event comes at the end of a ``with``
    block, not at the end of the request.
    """

    def __init__(self, path: Path, seed: int = 0) -> None:
        self.seed = seed
        self.failures = 0
        self.user_errors: Counter[str] = Counter()
        self._writer = RecordWriter(path)
        self._operations = path.with_name(path.name + ".operations.jsonl").open("a", encoding="utf-8")
        self._exemplars = Exemplars(path)
        self._users = 0
        self._trace_ids = trace_ids(seed)
        self._made = monotonic_ns()
        """No request begins before."""
        self._offset = self._offset_before = time_ns() - self._made
        self._noticed = 0
        """When the wall clock's last step was seen, some time after it happened."""

    @property
    def requests(self) -> int:
        """Recorded so far."""
        return self._writer.count

    def on_request(
        self,
        request_type: str,
        name: str,
        response_time: float | None,
        response_length: int | None,
        exception: Any = None,
        start_time: float | None = None,
        context: Any = None,
        response: Any = None,
        **_: Any,
    ) -> None:
        """The listener for Locust's ``request`` event; it must stay cheap."""
        now = monotonic_ns()
        latency = response_time / 1e3 if response_time else 0.0
        start = now - int(latency * 1e9)
        if context and "intended" in context:
            start = context["intended"]
        elif start_time is not None:
            change = time_ns() - now - self._offset
            if change > _STEP or change < -_STEP:
                self._clock_stepped(now, change)
            noted = int(start_time * 1e9) - self._offset
            if start < self._noticed:  # by which clock it was noted, nobody can tell: by the one that fits
                noted = min(noted, int(start_time * 1e9) - self._offset_before, key=lambda at: abs(at - start))
            if self._made <= noted < start:
                start = noted
        name = f"{request_type} {name}"
        if exception is None:
            error = ""
            if self._exemplars.is_slow(name, latency):
                trace_id = getattr(response, "trace_id", "")
                self._exemplars.slow(start, latency, name, lambda: trace_id)
        else:
            error = kind_of(exception, response)
            self.failures += 1
            self._note(start, name, error, response)
        self._writer.add(start, latency, name, error, response_length or 0)

    def _note(self, start: int, name: str, error: str, response: Any) -> None:
        body = getattr(response, "content", None)
        self._exemplars.unexpected(
            start,
            name,
            error,
            status=getattr(response, "status_code", None) or getattr(response, "status", None),
            trace_id=getattr(response, "trace_id", ""),
            body=body if isinstance(body, (bytes, bytearray)) else None,
        )

    def _clock_stepped(self, now: int, change: int) -> None:
        self._offset_before = self._offset
        self._offset += change
        self._noticed = now

    def unfinished(self, request_type: str, name: str, seconds: float) -> None:
        """Record a request that was given up ``seconds`` after its start."""
        self.failures += 1
        self._writer.add(monotonic_ns() - int(seconds * 1e9), seconds, f"{request_type} {name}", UNFINISHED, 0)

    def on_user_error(self, exception: BaseException, **_: Any) -> None:
        """The listener for Locust's ``user_error`` event: an exception of the locustfile, not a failed request.

        What comes up twice, first to Locust and then out of its greenlet, counts once.
        """
        if getattr(exception, "_enterprise_counted", False):
            return
        exception._enterprise_counted = True  # type: ignore[attr-defined]  # noqa: SLF001
        told = f"{type(exception).__name__}: {exception}"[:300]
        if told not in self.user_errors and len(self.user_errors) >= DISTINCT:
            told = f"(other) {type(exception).__name__}"
        self.user_errors[told] += 1

    def operation(self, key: str, status: str, facts: dict[str, Any]) -> None:
        """Note what a user knows about one operation."""
        line = {"t": monotonic_ns(), "key": key, "status": status, **facts}
        self._operations.write(json.dumps(line, default=str, ensure_ascii=False) + "\n")

    def next_user(self) -> int:
        """A number for each user in the order of spawning, from 1."""
        self._users += 1
        return self._users

    def next_trace_id(self) -> str:
        """For each request in the order in which they begin; see :func:`records.trace_ids`."""
        return next(self._trace_ids).decode()

    def flush(self) -> None:
        """Make everything visible to readers; follow the slewing of the wall clock."""
        self._writer.flush()
        self._operations.flush()
        self._exemplars.flush()
        now = monotonic_ns()
        change = time_ns() - now - self._offset
        if -_STEP <= change <= _STEP:
            self._offset += change
        else:
            self._clock_stepped(now, change)

    def close(self) -> None:
        self.flush()
        self._exemplars.close()
        self._writer.close()
        self._operations.close()
