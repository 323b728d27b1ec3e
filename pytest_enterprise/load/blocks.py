"""Blocks of work for comparisons: what a block gave, made into a :class:`Block`; blocks of load, and of calls."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from numbers import Real
from typing import TYPE_CHECKING, Any

from pytest_enterprise.errors import ConfigurationError
from pytest_enterprise.load import checks
from pytest_enterprise.load.records import Request
from pytest_enterprise.objectives.metrics import ALL, Block

if TYPE_CHECKING:
    from pytest_enterprise.load.columns import Columns

SETTLE = 0.3
"""Seconds at the start of a block of load that are not counted: connections are made and caches filled."""


def as_block(given: Any, seconds: float) -> Block:
    """What a block returned: a Block, a load, requests, or values, alone or by endpoint. ``seconds`` is what it took.

    Raises ConfigurationError for anything else.
    """
    if isinstance(given, Block):
        return given
    if hasattr(given, "records"):
        return traffic_block(given)
    if isinstance(given, Real):
        return Block(samples={ALL: [float(given)]}, seconds=seconds)
    if isinstance(given, Mapping):
        samples = {str(name): sorted(map(float, values)) for name, values in given.items()}
        samples.setdefault(ALL, sorted(value for values in samples.values() for value in values))
        return Block(samples=samples, seconds=seconds)
    if isinstance(given, Sequence) and not isinstance(given, str | bytes):
        if len(given) and isinstance(given[0], Request):
            return _requests_block(_columns(given), seconds)
        return Block(samples={ALL: sorted(map(float, given))}, seconds=seconds)
    raise ConfigurationError(
        f"a block returned {given!r}; return the load, its requests, a list of seconds, or a mapping from endpoint to "
        "such lists"
    )


def _columns(requests: Iterable[Request]) -> Columns:
    from pytest_enterprise.load.columns import Columns

    return Columns.of(requests)


def traffic_block(traffic: Any, *, settle: float = 0.0, cpu_seconds: float | None = None) -> Block:
    """The requests of a load that has ended, but for those sent in its first ``settle`` seconds."""
    columns = _columns(traffic.records())
    began = traffic.started + round(settle * 1e9)
    kept = columns.where(columns.start >= began)
    ended = traffic.stopped or (int(columns.end.max()) if len(columns) else began)
    behind = str(getattr(traffic, "behind", ""))
    return _requests_block(kept, max(0, ended - began) / 1e9, cpu_seconds, behind)


def _requests_block(columns: Columns, seconds: float, cpu_seconds: float | None = None, behind: str = "") -> Block:
    good = columns.where(~columns.failed)
    failed = columns.where(columns.failed)
    names = columns.names()
    samples: dict[str, Any] = {ALL: good.seconds(), **{name: good.named(name).seconds() for name in names}}
    return Block(
        samples=samples,
        failed={ALL: len(failed), **{name: len(failed.named(name)) for name in names}},
        seconds=seconds,
        cpu_seconds=cpu_seconds,
        behind=behind,
    )


def load_block(
    load: Callable[..., Any],
    *arguments: Any,
    seconds: float = 2.0,
    settle: float = SETTLE,
    cpu: Callable[[], Mapping[str, float]] | None = None,
    **settings: Any,
) -> Callable[[], Block]:
    """A block of load for :func:`compare`: ``load(*arguments, **settings)`` for some seconds, anew each time.

    The first ``settle`` seconds do not count. ``cpu`` tells CPU seconds by instance (``stack.cpu_seconds``); with it
    the metric ``cpu`` is the engines' CPU time per request, of the whole block.
    """
    checks.number("seconds", seconds)

    def block() -> Block:
        before = cpu() if cpu else {}
        with load(*arguments, **settings) as traffic:
            traffic.run_for(settle + seconds)
        if cpu is None:
            return traffic_block(traffic, settle=settle)
        after = cpu()
        spent = sum(after[name] - before.get(name, 0.0) for name in after)
        whole, counted = traffic_block(traffic), traffic_block(traffic, settle=settle)
        done = len(whole.samples[ALL])
        # By request of the whole load, which is what the CPU time was taken for.
        share = len(counted.samples[ALL]) / done if done else 0.0
        return replace(counted, cpu_seconds=spent * share)

    return block


def timed(function: Callable[[], Any], *, seconds: float = 0.2) -> Callable[[], Block]:
    """A block for :func:`compare` that calls ``function`` again and again for so long, and keeps what each call took.

    For what runs in-process, and for single requests to an endpoint.
    """
    checks.number("seconds", seconds)

    def block() -> Block:
        clock = time.perf_counter
        samples = []
        began = now = clock()
        ends = began + seconds
        cpu = time.process_time()
        while now < ends:
            function()
            before, now = now, clock()
            samples.append(now - before)
        spent = time.process_time() - cpu
        return Block(samples={ALL: sorted(samples)}, seconds=now - began, cpu_seconds=spent)

    return block
