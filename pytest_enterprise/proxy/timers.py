"""Timers precise enough for delays of a fraction of a millisecond.

Event-loop timers are too coarse: uvloop's lose a delay of 0.3 ms altogether, asyncio's add up to 1 ms. One timerfd
behind a heap wakes the loop within the kernel's own precision, and never early.
"""

from __future__ import annotations

import asyncio
import ctypes
import heapq
import os
from collections.abc import Callable
from time import monotonic_ns

_CLOCK_MONOTONIC = 1
_TFD_NONBLOCK = os.O_NONBLOCK
_TFD_CLOEXEC = os.O_CLOEXEC
_TFD_TIMER_ABSTIME = 1


class _ITimerSpec(ctypes.Structure):
    """``struct itimerspec``: the interval, which stays zero, then the value."""

    _fields_ = (
        ("interval_s", ctypes.c_long),
        ("interval_ns", ctypes.c_long),
        ("value_s", ctypes.c_long),
        ("value_ns", ctypes.c_long),
    )


class Timer:
    """One pending call; :meth:`cancel` may be called at any time, and more than once."""

    __slots__ = ("call", "order", "when")

    def __init__(self, when: int, order: int, call: Callable[[], None] | None) -> None:
        self.when = when
        self.order = order
        self.call = call

    def __lt__(self, other: Timer) -> bool:
        return self.when < other.when or (self.when == other.when and self.order < other.order)

    def cancel(self) -> None:
        self.call = None


class Timers:
    """A heap of calls, driven by one timerfd on the loop. Moments are CLOCK_MONOTONIC in nanoseconds."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        # os.timerfd_create came with Python 3.13; the C library has had it all along.
        libc = ctypes.CDLL(None, use_errno=True)
        self._settime = libc.timerfd_settime
        self._spec = _ITimerSpec()
        self._fd: int = libc.timerfd_create(_CLOCK_MONOTONIC, _TFD_NONBLOCK | _TFD_CLOEXEC)
        if self._fd < 0:
            raise OSError(ctypes.get_errno(), "timerfd_create failed")
        self._heap: list[Timer] = []
        self._armed = -1
        self._order = 0
        self._loop = loop
        loop.add_reader(self._fd, self._fire)

    def at(self, when: int, call: Callable[[], None]) -> Timer:
        """Call ``call`` at ``when`` or as soon after as the loop is free, never before."""
        self._order += 1
        timer = Timer(when, self._order, call)
        heapq.heappush(self._heap, timer)
        if self._heap[0] is timer:
            self._arm(when)
        return timer

    def after(self, seconds: float, call: Callable[[], None]) -> Timer:
        """Call ``call`` in ``seconds``."""
        return self.at(monotonic_ns() + int(seconds * 1e9), call)

    def _arm(self, when: int) -> None:
        if when == self._armed:
            return
        self._armed = when
        when = max(when, 1)  # zero would switch the timer off
        self._spec.value_s, self._spec.value_ns = divmod(when, 1_000_000_000)
        self._settime(self._fd, _TFD_TIMER_ABSTIME, ctypes.byref(self._spec), None)

    def _fire(self) -> None:
        try:
            os.read(self._fd, 8)
        except BlockingIOError:
            return
        self._armed = -1
        heap = self._heap
        now = monotonic_ns()
        due = []
        while heap and (heap[0].call is None or heap[0].when <= now):
            due.append(heapq.heappop(heap))
        try:
            for timer in due:
                if timer.call is not None:
                    self._run(timer.call)
        finally:
            if heap:
                self._arm(heap[0].when)

    def _run(self, call: Callable[[], None]) -> None:
        try:
            call()
        except Exception as error:  # one connection's failure must not cost the others their timers
            self._loop.call_exception_handler({"message": "a timer of the fault proxy failed", "exception": error})

    def close(self) -> None:
        """Forget all pending calls."""
        self._heap.clear()
        if self._fd >= 0:
            self._loop.remove_reader(self._fd)
            os.close(self._fd)
            self._fd = -1
