"""Locust's local runner with a quick, honest stop: what does not end in time is recorded as unfinished."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic_ns, perf_counter
from types import FrameType
from typing import Any

import gevent
from locust.clients import HttpSession
from locust.contrib.fasthttp import FastHttpSession
from locust.env import Environment
from locust.runners import LocalRunner
from locust.user.task import LOCUST_STATE_STOPPING

from pytest_enterprise.load.open_loop import Dispatcher
from pytest_enterprise.load.protocol import ProtocolUser
from pytest_enterprise.load.recorder import Recorder

GRACE = 2.0
"""Seconds that users get to end their requests when they are stopped."""
_SENDERS = tuple(f.__code__ for f in (FastHttpSession.request, HttpSession.request, ProtocolUser.exchange))


class RecordedEnvironment(Environment):
    """Locust's environment with the recorder, where users find it."""

    def __init__(self, recorder: Recorder, **settings: Any) -> None:
        super().__init__(**settings)
        self.enterprise = recorder
        self.enterprise_dispatcher: Dispatcher | None = None
        """The open loop's; None: the loop is closed."""
        self.arrivals_ended: Callable[[], Any] | None = None
        """What to do when the pattern of arrivals has an end and was played."""


def in_flight(greenlet: Any) -> tuple[str, str, float] | None:
    """Method, name and seconds so far of the request that a user waits for, None when it waits for none.

    The seconds count from the intended moment where the request has one.
    Read from the suspended stack, so that requests that end pay nothing for those that do not.
    """
    frame: FrameType | None = greenlet.gr_frame
    while frame is not None:
        if frame.f_code in _SENDERS:
            local = frame.f_locals
            if "start_perf_counter" in local:
                name = local.get("name") or local["url"]
                intended = (local.get("context") or {}).get("intended")
                seconds = perf_counter() - local["start_perf_counter"]
                return local["method"], name, seconds if intended is None else (monotonic_ns() - intended) / 1e9
        frame = frame.f_back
    return None


class QuickRunner(LocalRunner):
    """Stops users within :data:`GRACE` seconds and a little."""

    environment: RecordedEnvironment

    def stop_users(self, user_classes_stop_count: dict[str, int]) -> None:
        left = dict(user_classes_stop_count)
        leaving = []
        for greenlet in list(self.user_greenlets):
            if not greenlet.args:  # it ended just now
                continue
            user = greenlet.args[0]
            if left.get(type(user).__name__, 0) > 0:
                left[type(user).__name__] -= 1
                leaving.append(greenlet)
                if user._state != LOCUST_STATE_STOPPING:  # noqa: SLF001  Locust's own runner reads it too
                    gevent.spawn(user.stop)
        gevent.joinall(leaving, timeout=GRACE)
        late = [greenlet for greenlet in leaving if not greenlet.dead]
        for greenlet in late:
            if request := in_flight(greenlet):
                self.environment.enterprise.unfinished(*request)
        gevent.killall(late, timeout=1)
