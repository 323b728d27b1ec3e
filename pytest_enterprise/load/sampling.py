"""CPU of the generator and of the engines while a load runs: what tells whether the generator was the limit.

Once a second, as events ``load.sampled`` with CPU seconds since each process began; rarer the longer a load lasts, so
that an hour takes hardly more room than some minutes.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pytest_enterprise.runtimes.proctree import process

EVERY = 1.0
"""Seconds between the first samples."""
_OFTEN = 240
"""Samples after which the time between them doubles."""

Cpu = Callable[[], Mapping[str, float]]


class CpuSampler:
    """Samples in a thread of its own from :meth:`begin` to :meth:`end`."""

    def __init__(self, emit: Callable[..., Any], fields: Mapping[str, Any], pid: int, engines: Cpu | None) -> None:
        """``fields`` are those of every event; ``engines`` tells the CPU seconds of each engine by name."""
        self._emit = emit
        self._fields = fields
        self._pid = pid
        self._engines = engines
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"cpu of pid {pid}", daemon=True)

    def begin(self) -> None:
        self._thread.start()

    def end(self) -> None:
        """Return when no further sample will be told."""
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join(2 * EVERY)

    def _run(self) -> None:
        wait, taken = EVERY, 0
        due = time.monotonic()
        while True:
            self._sample()
            taken += 1
            if taken % _OFTEN == 0:
                wait *= 2
            due = max(due + wait, time.monotonic())
            if self._ended.wait(due - time.monotonic()):
                return

    def _sample(self) -> None:
        generator = _of_tree(self._pid)
        engines: Mapping[str, float] = {}
        # A stack that is just being torn down has nothing more to tell, and no sample is worth a failed test.
        with contextlib.suppress(Exception):
            engines = self._engines() if self._engines else {}
        if generator is not None and not self._ended.is_set():
            told = {name: round(seconds, 2) for name, seconds in engines.items()}
            self._emit("load.sampled", **self._fields, generator=round(generator, 2), engines=told)


def _of_tree(pid: int) -> float | None:
    """CPU seconds of a process and those below it; None when it is gone."""
    own = process(pid)
    if own is None or own.gone:
        return None
    found = own.cpu
    for child in _children(pid):
        found += _of_tree(child) or 0.0
    return found


def _children(pid: int) -> list[int]:
    with contextlib.suppress(OSError):
        tasks = Path(f"/proc/{pid}/task").iterdir()
        return [int(child) for task in tasks for child in (task / "children").read_text().split()]
    return []
