"""A base for locustfiles: importable under plain ``locust -f`` as under the ``load`` fixture."""

from __future__ import annotations

import random
import time
from functools import cache
from typing import Any

import gevent.ssl
from geventhttpclient.url import URL
from locust import FastHttpUser, constant_throughput, events
from locust.user.task import LOCUST_STATE_STOPPING

from pytest_enterprise.load.recorder import Recorder


def _options(parser: Any) -> None:
    parser.add_argument(
        "--rate", type=float, default=None, help="task runs per second of each EnterpriseUser, instead of its own"
    )


events.init_command_line_parser.add_listener(_options)  # type: ignore[no-untyped-call]


@cache
def _trusting_context() -> gevent.ssl.SSLContext:
    # One for all users: loading the certificates anew for each takes longer than a thousand requests.
    return gevent.ssl.create_default_context()


class EnterpriseUser(FastHttpUser):
    """A FastHttpUser with short time-outs, verified TLS, no hidden retries and a fixed pace.

    Each user runs ``rate`` tasks per second (less if they take longer), with a phase of its own, so that users spawned
    at once do not send in bursts. Override ``wait_time`` for anything else.
    """

    abstract = True
    rate: float = 1.0
    """Task runs per second of each user; ``--rate`` or ``options={"rate": ...}`` override it."""
    connection_timeout = 3.0
    network_timeout = 10.0
    max_retries = 0
    insecure = False

    def __init__(self, environment: Any) -> None:
        if not self.insecure and self.ssl_context_factory is None:
            type(self).ssl_context_factory = staticmethod(_trusting_context)
        super().__init__(environment)
        self.recorder: Recorder | None = getattr(environment, "enterprise", None)
        self.random = random.Random(
            None if self.recorder is None else f"{self.recorder.seed}/{self.recorder.next_user()}"
        )
        """The user's own source of chance: seeded by the run under the ``load`` fixture."""
        # geventhttpclient repeats a GET on a new connection up to size + 1 times when the server closes the old one,
        # and reports the last try alone. A user here sees, and records, what happened.
        self.client.client.clientpool.get_client(URL(self.client.base_url or ""))._connection_pool.size = -1  # noqa: SLF001
        self._pace = constant_throughput(self.option("rate") or self.rate)

    def option(self, name: str, default: Any = None) -> Any:
        """An option of the locustfile, from the command line or from ``options`` of the ``load`` fixture."""
        return getattr(self.environment.parsed_options, name, default)

    @property
    def stopping(self) -> bool:
        """True once this user was asked to end: begin nothing new."""
        return self._state == LOCUST_STATE_STOPPING

    def on_start(self) -> None:
        """Wait for the user's own phase; call it first (``super().on_start()``) when you override it."""
        time.sleep(self.random.random() / (self.option("rate") or self.rate))
        self._cp_last_run = time.perf_counter()

    def wait_time(self) -> float:
        return float(self._pace(self))

    def acknowledged(self, key: str, *, status: str = "ok", **facts: Any) -> None:
        """Note what is known of the operation ``key``: ``ok`` (the server said it is done), ``fail`` (it said no) or
        ``unknown`` (no answer).

        Tests read them with ``traffic.operations()`` and compare with what the system kept. Does nothing under plain
        Locust.
        """
        if self.recorder is not None:
            self.recorder.operation(key, status, facts)
