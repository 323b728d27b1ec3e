"""How the open loop gets into Locust: its options, the events by which it begins and ends, and what workers share."""

from __future__ import annotations

import logging
import random
from itertools import islice, takewhile
from time import monotonic
from typing import Any

from locust import events
from locust.exception import StopTest
from locust.runners import MasterRunner, WorkerRunner

from pytest_enterprise.errors import ConfigurationError
from pytest_enterprise.load import notation
from pytest_enterprise.load.open_loop import AT_MOST, Dispatcher

_log = logging.getLogger(__name__)
_MESSAGE = "pytest-enterprise arrivals"
_COUNTED = 10_000_000
"""Arrivals of a lost worker are counted up to here."""


def _options(parser: Any) -> None:
    group = parser.add_argument_group("Open loop")
    group.add_argument(
        "--arrivals", metavar="PATTERN", default="", help=f"begin journeys at intended moments: {notation.EXAMPLES}"
    )
    group.add_argument(
        "--arrivals-at-most", metavar="N", type=int, default=AT_MOST, help="journeys at once per process"
    )
    group.add_argument("--arrivals-seed", metavar="N", type=int, default=None, help="the seed of the intended moments")


def of(environment: Any) -> Dispatcher | None:
    """The dispatcher of this process; None: the loop is closed. Raises StopTest for arrivals that cannot be."""
    options = environment.parsed_options
    if not getattr(options, "arrivals", "") or isinstance(environment.runner, MasterRunner):
        return None
    found: Dispatcher | None = getattr(environment, "enterprise_dispatcher", None)
    if found is None:
        try:
            pattern = notation.arrivals(options.arrivals)
        except ConfigurationError as error:
            raise StopTest(str(error)) from None
        found = environment.enterprise_dispatcher = Dispatcher(
            environment,
            pattern,
            seed=options.arrivals_seed,
            at_most=int(options.arrivals_at_most),
            turn=_turn(environment),
        )
    return found


def _turn(environment: Any) -> tuple[int, int]:
    if not isinstance(environment.runner, WorkerRunner):
        return 0, 1
    workers = environment.parsed_options.arrivals_workers
    return workers.index(environment.runner.worker_index), len(workers)


class _Hooks:
    """What one environment's events do. A master keeps the figures of its workers, by their index."""

    def __init__(self, environment: Any) -> None:
        self._environment = environment
        self._runner = environment.runner
        self._reports: dict[int, dict[str, Any]] = {}
        self._began = self._seconds = 0.0
        environment.enterprise_open_loop = self
        hooks = environment.events
        hooks.test_start.add_listener(self.prepare)
        hooks.spawning_complete.add_listener(self.begin)
        hooks.test_stopping.add_listener(self.end)
        hooks.test_stop.add_listener(self.tell)
        if isinstance(self._runner, MasterRunner):
            self._runner.register_message(_MESSAGE, self.report)
            hooks.quit.add_listener(self.tell_of_workers)
        if isinstance(self._runner, WorkerRunner):
            hooks.report_to_master.add_listener(lambda **_: self._send())

    @property
    def _open(self) -> bool:
        return bool(getattr(self._environment.parsed_options, "arrivals", ""))

    def figures(self) -> dict[str, Any]:
        """Of this process and of its workers together: arrivals due and made, late ones, the worst lag, and whether it
        is behind; empty for a closed loop.
        """
        dispatcher = getattr(self._environment, "enterprise_dispatcher", None)
        if dispatcher:
            return dict(dispatcher.figures)
        told = sorted(self._reports.items())
        if not self._open or not told:
            return {}
        behind = [f"worker {index}: {figures['behind']}" for index, figures in told if figures["behind"]]
        sums = {name: sum(figures[name] for _, figures in told) for name in ("due", "made", "late")}
        return {**sums, "lag": max(figures["lag"] for _, figures in told), "behind": "; ".join(behind)}

    def prepare(self, **_: Any) -> None:
        """Before any user: what all processes must agree on, which the master hands to its workers."""
        self._environment.enterprise_dispatcher = None
        self._reports = {}
        options = self._environment.parsed_options
        if not self._open or isinstance(self._runner, WorkerRunner):
            return
        if options.arrivals_seed is None:
            options.arrivals_seed = random.SystemRandom().getrandbits(48)
        if isinstance(self._runner, MasterRunner):
            runner: Any = self._runner
            clients = runner.clients
            active = [*clients.ready, *clients.running, *clients.spawning]
            options.arrivals_workers = sorted(runner.get_worker_index(client.id) for client in active)

    def begin(self, **_: Any) -> None:
        self._began = self._began or monotonic()
        if dispatcher := of(self._environment):
            dispatcher.on_end = getattr(self._environment, "arrivals_ended", None) or self._leave
            dispatcher.begin()

    def _leave(self) -> None:
        if isinstance(self._runner, WorkerRunner):
            return  # the master decides
        (self._runner.quit if self._environment.parsed_options.headless else self._runner.stop)()

    def end(self, **_: Any) -> None:
        if dispatcher := of(self._environment):
            dispatcher.end()

    def tell(self, **_: Any) -> None:
        """At the end: what was due and what became of it; what a lost worker did not do."""
        began, self._began = self._began, 0.0
        if not self._open or not began:
            return
        if isinstance(self._runner, WorkerRunner):
            self._send()
        elif isinstance(self._runner, MasterRunner):
            self._seconds = monotonic() - began
            # A master that leaves is told so only then, and its workers have the last word after it.
            if len(self._final) == len(self._environment.parsed_options.arrivals_workers):
                self.tell_of_workers()
        elif dispatcher := of(self._environment):
            _say("open loop", dispatcher.figures)

    def _send(self) -> None:
        dispatcher = of(self._environment) if self._open else None
        if dispatcher:
            self._runner.send_message(_MESSAGE, {**dispatcher.figures, "final": dispatcher.ended})

    def report(self, msg: Any, **_: Any) -> None:
        """On the master: figures of a worker."""
        self._reports[self._runner.get_worker_index(msg.node_id)] = msg.data

    @property
    def _final(self) -> set[int]:
        return {index for index, figures in self._reports.items() if figures["final"]}

    def tell_of_workers(self, **_: Any) -> None:
        """On the master: each worker's figures, or how much of its share a lost one is known to have done."""
        seconds, self._seconds = self._seconds, 0.0
        if not seconds:
            return
        options = self._environment.parsed_options
        times = notation.arrivals(options.arrivals).times(random.Random(options.arrivals_seed))
        due = sum(1 for _ in islice(takewhile(lambda moment: moment <= seconds, times), _COUNTED))
        workers = options.arrivals_workers
        for turn, index in enumerate(workers):
            if index in self._final:
                _say(f"open loop, worker {index}", self._reports[index])
                continue
            made = self._reports.get(index, {"made": 0})["made"]
            share = len(range(turn, due, len(workers)))
            _log.warning(
                "open loop, worker %d was lost: of its %d arrivals %d are known to be made; do not judge by it",
                *(index, share, made),
            )


def _say(who: str, figures: dict[str, Any]) -> None:
    _log.info(
        "%s: %d arrivals due, %d made, %d late, at worst %.3f s",
        *(who, figures["due"], figures["made"], figures["late"], figures["lag"]),
    )
    if figures["behind"]:
        _log.warning("%s: generator behind, do not judge by it: %s", who, figures["behind"])


events.init_command_line_parser.add_listener(_options)  # type: ignore[no-untyped-call]
events.init.add_listener(lambda environment, **_: _Hooks(environment))  # type: ignore[no-untyped-call]
