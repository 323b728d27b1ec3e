"""Locust's open loop: a journey begins when it is meant to, however long the earlier ones take.

One dispatcher in each of Locust's processes draws the intended moments of the arrivals and gives each arrival to a user
that is idle, or to a new one: the users are a pool that grows as far as the server makes it. What a journey begins with
counts from the intended moment, so that a server that stalls is asked no less, and all who had to wait are counted.

Distributed workers draw the same moments from the same seed and take turns, so that together they make the pattern.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from functools import partial
from itertools import count
from time import monotonic_ns
from typing import Any, NamedTuple

import gevent
from gevent.event import Event
from gevent.hub import Waiter
from locust.user.task import LOCUST_STATE_RUNNING

from pytest_enterprise.load.arrivals import Arrivals
from pytest_enterprise.load.timer import Timer

LATE = ((0.25, 0.05), (1.0, 0.01))
"""The generator is behind when journeys begin more than so many seconds after their intended moments, by its own fault,
in more than such a share of arrivals. Less than that only makes latencies worse, so what held in spite of it holds.
"""
MISSED = 0.01
"""And when more than this share was not made at all."""
AT_MOST = 5000
"""Journeys at once in one process, unless told otherwise: a limit for the machine's safety, not for the load."""
_TURN = 16
"""Arrivals given out at once before others get a turn."""
_STOPPING = 100_000_000
"""What became due so many ns before the end may have been held up by the stopping itself, and is not counted."""
_COUNTED = 1_000_000
"""Arrivals that were not made are counted up to here."""


class Arrival(NamedTuple):
    """A journey that is to begin."""

    number: int
    due: int
    """Its intended moment: CLOCK_MONOTONIC in ns."""


class Dispatcher:
    """Gives the arrivals of this process to users. ``turn`` is this process's number, and the number of processes."""

    def __init__(
        self,
        environment: Any,
        pattern: Arrivals,
        *,
        seed: int,
        at_most: int = AT_MOST,
        turn: tuple[int, int] = (0, 1),
    ) -> None:
        self.seed = seed
        self.pattern = pattern
        self.on_end: Callable[[], Any] = lambda: None
        """Called when the pattern has an end and the last of its journeys has ended."""
        self.ended = False
        self._environment = environment
        self._at_most = at_most
        self._turn = turn
        self._greenlet: gevent.Greenlet | None = None
        self._idle: dict[type, list[tuple[Waiter, Any]]] = {kind: [] for kind in environment.user_classes}
        self._reserved: dict[Any, Arrival] = {}
        """The arrivals of users that are about to start."""
        self._freed = Event()
        self._schedule: Iterator[tuple[type, Arrival]] = iter(())
        self._next: Arrival | None = None
        self._due = self._made = self._waited = 0
        self._late = [0] * len(LATE)
        self._lag = 0.0

    def begin(self) -> None:
        """From now on the pattern counts."""
        if self._greenlet is None:
            self._schedule = self._arrivals(monotonic_ns())
            self._greenlet = gevent.spawn(self._run)

    def end(self) -> None:
        """No further arrival; those that are overdue are counted as not made."""
        if self._greenlet is None or self.ended:
            return
        self.ended = True  # first: what is due while it ends belongs to no load
        self._greenlet.kill()
        gevent.sleep(0.001)  # those that were given away begin before their users are stopped
        late, before = monotonic_ns() - _STOPPING, self._due
        while self._next and self._next.due <= late and self._due - before < _COUNTED:
            self._due += 1
            _, self._next = next(self._schedule, (None, None))

    @property
    def figures(self) -> dict[str, Any]:
        """Arrivals that were due and those made, how many late, the worst lag in seconds, and whether it is behind."""
        return {
            "due": self._due,
            "made": self._made,
            "late": self._late[0],
            "lag": round(self._lag, 4),
            "behind": self._behind(),
        }

    def _behind(self) -> str:
        if self._waited:
            return (
                f"the limit of {self._at_most:,} journeys at once was met: {self._waited:,} of {self._due:,} arrivals "
                "had to wait for one to end"
            )
        for (seconds, share), late in zip(LATE, self._late, strict=True):
            if late > max(1, share * self._due):
                worst = f"at worst {self._lag:.2f} s"
                return f"{late:,} of {self._due:,} journeys began over {seconds:g} s late ({worst})"
        # While it runs, some are on their way to their users.
        missed = self._due - self._made if self.ended else 0
        return f"{missed:,} of {self._due:,} arrivals were not made" if missed > max(1, MISSED * self._due) else ""

    def _arrivals(self, began: int) -> Iterator[tuple[type, Arrival]]:
        kinds = list(self._environment.user_classes)
        weights = [kind.weight for kind in kinds]
        choose = random.Random(f"{self.seed}/kinds")
        number, processes = self._turn
        for at, moment in zip(count(), self.pattern.times(random.Random(self.seed)), strict=False):
            kind = choose.choices(kinds, weights)[0] if len(kinds) > 1 else kinds[0]
            if at % processes == number:
                yield kind, Arrival(at, began + round(moment * 1e9))

    def _run(self) -> None:
        timer = Timer()
        try:
            for given, (kind, arrival) in enumerate(self._schedule, 1):
                self._next = arrival
                if arrival.due > monotonic_ns():
                    timer.wait_until(arrival.due)
                elif given % _TURN == 0:
                    gevent.sleep(0)
                if self.ended:
                    return
                self._give(kind, arrival)
                self._next = None
        finally:
            timer.close()
        while self._busy():
            gevent.sleep(0.05)
        gevent.spawn(self.on_end)  # which may end this greenlet

    def _busy(self) -> bool:
        idle = {user for waiting in self._idle.values() for _, user in waiting}
        return any(
            greenlet.args and greenlet.args[0] not in idle for greenlet in self._environment.runner.user_greenlets
        )

    def _give(self, kind: type, arrival: Arrival) -> None:
        idle = self._idle[kind]
        waited = False
        while not idle:
            if len(self._environment.runner.user_greenlets) < self._at_most:
                self._due += 1
                self._admit(kind, arrival)
                return
            other = next((waiting for waiting in self._idle.values() if waiting), None)
            if other:
                other[-1][1].stop(force=True)
                continue
            self._waited += not waited
            waited = True
            self._freed.clear()
            self._freed.wait()
        self._due += 1
        waiter, _ = idle.pop()
        gevent.get_hub().loop.run_callback(waiter.switch, arrival)

    def _admit(self, kind: Any, arrival: Arrival) -> None:
        if self._environment.host:
            kind.host = self._environment.host
        try:
            user = kind(self._environment)
        except Exception as error:  # this arrival is not made, and those after it shall be
            self._environment.events.user_error.fire(user_instance=None, exception=error, tb=error.__traceback__)
            return
        self._reserved[user] = arrival
        user.start(self._environment.runner.user_greenlets)

    def enter(self, user: Any, on_start: Callable[[], Any]) -> None:
        """What a user does first: its own ``on_start``, and then wait for an arrival."""
        gevent.getcurrent().link(lambda _: self._left(user))
        if user in self._reserved:
            self._note(self._reserved[user])
        on_start()
        user.wait()

    def _left(self, user: Any) -> None:
        self._reserved.pop(user, None)
        self._freed.set()

    def next(self, user: Any) -> Arrival:
        """The user's next arrival; until there is one, it waits."""
        arrival = self._reserved.pop(user, None)
        if arrival is None:
            waiter: Waiter = Waiter()
            idle = self._idle[type(user)]
            idle.append((waiter, user))
            self._freed.set()
            try:
                arrival = waiter.get()
            except BaseException:  # stopped while it waited
                if (waiter, user) in idle:
                    idle.remove((waiter, user))
                raise
            self._note(arrival)
        self._made += 1
        return arrival

    def _note(self, arrival: Arrival) -> None:
        lag = (monotonic_ns() - arrival.due) / 1e9
        for at, (seconds, _) in enumerate(LATE):
            self._late[at] += lag > seconds
        self._lag = max(self._lag, lag)


class Journeys:
    """One user's side: takes arrivals in place of waiting, and counts the request that a journey begins with from its
    intended moment.
    """

    def __init__(self, dispatcher: Dispatcher, user: Any) -> None:
        self._dispatcher = dispatcher
        self._user = user
        self.number = 0
        """Of the arrival that the journey under way began with, from 0."""
        self._intended: int | None = None
        user.wait_time = self.wait_time
        user.on_start = partial(dispatcher.enter, user, user.on_start)
        client = vars(user).get("client")
        if hasattr(client, "request_event"):  # one of Locust's HTTP sessions
            self._request, self._event = client.request, client.request_event
            client.request, client.request_event = self.request, self

    @property
    def pattern(self) -> Arrivals:
        """The pattern of the arrivals."""
        return self._dispatcher.pattern

    def wait_time(self) -> float:
        """In place of the user's own: nothing is left to wait for when it returns."""
        self._intended = None
        arrival = self._dispatcher.next(self._user)
        # Not waiting any more: whoever stops it now lets it end its journey.
        self._user._state = LOCUST_STATE_RUNNING  # noqa: SLF001
        self._intended = arrival.due
        self.number = arrival.number
        # What a journey draws depends on its number alone, not on which user happened to be idle.
        self._user.random.seed(f"{self._dispatcher.seed}/{arrival.number}")
        return 0.0

    def intention(self) -> dict[str, int]:
        """For the context of the request that is sent now; empty for all but the first of a journey."""
        intended, self._intended = self._intended, None
        return {} if intended is None else {"intended": intended, "sent": monotonic_ns()}

    def request(self, method: str, url: str, **given: Any) -> Any:
        """The session's, with the intention in the context, which the event is told."""
        if self._intended is not None:
            given["context"] = {**(given.get("context") or {}), **self.intention()}
        return self._request(method, url, **given)

    def fire(self, **told: Any) -> None:
        """The request event, with the latency from the intended moment."""
        if late := waited(told.get("context")):
            told["response_time"] += late
        self._event.fire(**told)


def waited(context: Any) -> float:
    """Milliseconds from the intended moment to the sending of a request, by its context; 0 where it has none."""
    return (context["sent"] - context["intended"]) / 1e6 if context and "intended" in context else 0.0
