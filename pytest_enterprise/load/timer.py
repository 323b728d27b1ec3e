"""Waiting for a moment in a greenlet, to a tenth of a millisecond: the event loop's own timers know whole ones."""

from __future__ import annotations

import ctypes
import os
import sys
from time import monotonic_ns

import gevent

_CLOCK_MONOTONIC, _TFD_TIMER_ABSTIME = 1, 1
_TFD_NONBLOCK, _TFD_CLOEXEC = os.O_NONBLOCK, getattr(os, "O_CLOEXEC", 0)
_READABLE = 1


class _Timerspec(ctypes.Structure):
    """What timerfd_settime takes: no interval, and the moment."""

    _fields_ = (
        ("every_seconds", ctypes.c_long),
        ("every_nanoseconds", ctypes.c_long),
        ("seconds", ctypes.c_long),
        ("nanoseconds", ctypes.c_long),
    )


class Timer:
    """A timer of the kernel (timerfd) that the event loop watches; without one (not Linux) it sleeps."""

    def __init__(self) -> None:
        self._descriptor = -1
        if sys.platform == "linux":
            self._libc = ctypes.CDLL(None, use_errno=True)
            self._descriptor = self._libc.timerfd_create(_CLOCK_MONOTONIC, _TFD_NONBLOCK | _TFD_CLOEXEC)
        if self._descriptor >= 0:
            self._watcher = gevent.get_hub().loop.io(self._descriptor, _READABLE)

    def wait_until(self, moment: int) -> None:
        """Return at ``moment`` (CLOCK_MONOTONIC, ns), at once when it is past."""
        while (now := monotonic_ns()) < moment:
            if self._descriptor < 0:
                gevent.sleep((moment - now) / 1e9)
                continue
            when = _Timerspec(0, 0, *divmod(moment, 1_000_000_000))
            # Setting it anew also takes back that it is readable, so it is never read.
            self._libc.timerfd_settime(self._descriptor, _TFD_TIMER_ABSTIME, ctypes.byref(when), None)
            gevent.get_hub().wait(self._watcher)

    def close(self) -> None:
        if self._descriptor >= 0:
            self._watcher.close()
            os.close(self._descriptor)
            self._descriptor = -1
