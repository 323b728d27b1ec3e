"""What every user of ours has, whatever it speaks: a pace, a seeded source of chance, options and acknowledgements."""

from __future__ import annotations

import random
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from locust import events
from locust.runners import WorkerRunner
from locust.user.task import LOCUST_STATE_STOPPING

from pytest_enterprise.errors import ConfigurationError
from pytest_enterprise.load import checks, open_setup
from pytest_enterprise.load.open_loop import Journeys

if TYPE_CHECKING:
    from pytest_enterprise.load.recorder import Recorder


def _options(parser: Any) -> None:
    parser.add_argument(
        "--rate", type=float, default=None, help="task runs per second of each EnterpriseUser, instead of its own"
    )


events.init_command_line_parser.add_listener(_options)  # type: ignore[no-untyped-call]


def _page(environment: Any, web_ui: Any = None, **_: Any) -> None:
    # Under plain Locust too.
    if web_ui is not None:
        from pytest_enterprise.load.web import page

        page.install(environment, web_ui)
    elif isinstance(environment.runner, WorkerRunner):
        from pytest_enterprise.load.web import workers

        workers.install(environment)


events.init.add_listener(_page)  # type: ignore[no-untyped-call]


def checked_rate(kind: Any, asked: float | str | None) -> float:
    """Task runs per second of such users, ``asked`` for or their own. Raises ConfigurationError for what is no rate."""
    if isinstance(asked, str):  # Locust's form gives text, and an empty one where nothing was written
        with suppress(ValueError):
            asked = float(asked) if asked.strip() else None
    name, rate = (f"{kind.__name__}.rate", kind.rate) if asked is None else ("rate", asked)
    if rate is None:
        raise ConfigurationError(f"{name}=None is not possible; give a number above 0")
    found: float = checks.number(name, rate)
    return found


class Paced:
    """Stands before one of Locust's user classes: ``class MyUser(Paced, User)``.

    Each user runs ``rate`` tasks per second (less if they take longer), with a phase of its own, so that users spawned
    at once do not send in bursts. Override ``wait_time`` for anything else.

    That is the closed loop. With arrivals (``load(..., arrivals=50)``, ``--arrivals poisson:50``) the same classes and
    tasks make an open one: each arrival runs one task, by a user of a pool that grows as it must, and ``rate`` and
    ``wait_time`` mean nothing. Pause within a task by ``time.sleep``: ``self.wait()`` there waits for an arrival.
    """

    environment: Any
    _state: str | None
    rate: float = 1.0
    """Task runs per second of each user; ``--rate`` or ``options={"rate": ...}`` override it."""

    def __init__(self, environment: Any) -> None:
        super().__init__(environment)  # type: ignore[call-arg]  # Locust's user follows
        self.recorder: Recorder | None = getattr(environment, "enterprise", None)
        self.random = random.Random(
            None if self.recorder is None else f"{self.recorder.seed}/{self.recorder.next_user()}"
        )
        """The user's own source of chance: seeded by the run under the ``load`` fixture."""
        dispatcher = open_setup.of(environment)
        self.journeys = Journeys(dispatcher, self) if dispatcher else None
        """This user's side of the open loop; None in a closed one."""
        self._period = 1 / checked_rate(type(self), self.option("rate"))
        self._due = 0.0

    def option(self, name: str, default: Any = None) -> Any:
        """An option of the locustfile, from the command line or from ``options`` of the ``load`` fixture."""
        return getattr(self.environment.parsed_options, name, default)

    @property
    def stopping(self) -> bool:
        """True once this user was asked to end: begin nothing new."""
        return self._state == LOCUST_STATE_STOPPING

    def on_start(self) -> None:
        """Wait for the user's own phase; call it first (``super().on_start()``) when you override it."""
        if self.journeys:
            return
        self._due = time.perf_counter() - self.random.random() * self._period
        self.wait()  # type: ignore[attr-defined]  # Locust's user has it

    def wait_time(self) -> float:
        """Until a period after the last task was due; not at all when that is past, and then nothing is caught up."""
        now = time.perf_counter()
        self._due = max(self._due + self._period, now)
        return self._due - now

    def intention(self) -> dict[str, int]:
        """For the context of a request that is sent now: the moment that it counts from, where that is an earlier one.

        Once for each journey of an open loop, and empty otherwise.
        """
        return self.journeys.intention() if self.journeys else {}

    def acknowledged(self, key: str, *, status: str = "ok", **facts: Any) -> None:
        """Note what is known of the operation ``key``: ``ok`` (the server said it is done), ``fail`` (it said no) or
        ``unknown`` (no answer).

        Tests read them with ``traffic.operations()`` and compare with what the system kept. Does nothing under plain
        Locust.
        """
        if self.recorder is not None:
            self.recorder.operation(key, status, facts)

    def saw(self, key: str, *, age: float, **facts: Any) -> None:
        """Note that what was read of ``key`` was ``age`` seconds old: the time since a change that it did not show yet.

        Judged by ``Freshness``. Does nothing under plain Locust.
        """
        if self.recorder is not None:
            self.recorder.operation(key, "seen", {"age": age, **facts})
