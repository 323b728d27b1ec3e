"""What the ``load`` fixture gives: it makes loads, by Locust or by the native engine; see ``traffic`` for one load."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from pytest_enterprise.errors import ConfigurationError, LoadFailed
from pytest_enterprise.load import checks, notation
from pytest_enterprise.load.arrivals import Arrivals
from pytest_enterprise.load.sampling import Cpu
from pytest_enterprise.load.traffic import Traffic

if TYPE_CHECKING:
    from pytest_enterprise.load.native.grpc_call import GrpcCall
    from pytest_enterprise.load.native.postgres_query import PostgresQuery
    from pytest_enterprise.load.native.redis_command import RedisCommand
    from pytest_enterprise.load.native.request import HttpRequest
    from pytest_enterprise.load.native.traffic import NativeTraffic
    from pytest_enterprise.run import Run

Kind = TypeVar("Kind", bound=Traffic)


class Load:
    """Makes loads for one test. Call it: ``with load("loadtests/my_service.py", arrivals=30) as traffic:``."""

    def __init__(
        self,
        run: Run,
        test: str,
        default_locustfile: str | Path | None = None,
        default_host: str | Callable[[], str] | None = None,
        *,
        root: Path | None = None,
        link_of: Callable[[str], str | None] | None = None,
        engines_cpu: Cpu | None = None,
    ) -> None:
        """Locustfiles are looked for below ``root`` (None: the working directory).

        ``link_of`` tells the link that a host's traffic takes, ``engines_cpu`` the CPU seconds of each engine, for the
        events.
        """
        self._root = root or Path.cwd()
        self._run = run
        self._test = test
        self._locustfile = default_locustfile
        self._host = default_host
        self._link_of = link_of
        self._engines_cpu = engines_cpu
        self._made: list[Traffic] = []

    def __call__(
        self,
        locustfile: str | Path | None = None,
        *,
        arrivals: Arrivals | float | str | None = None,
        users: int | None = None,
        host: str | None = None,
        spawn_rate: float | None = None,
        seconds: float | None = None,
        seed: int | None = None,
        options: Mapping[str, Any] | None = None,
        user_classes: Iterable[str] = (),
    ) -> Traffic:
        """A load, checked but not begun.

        ``arrivals`` make it an open loop: a pattern (``Poisson(rate=50)``), a number of evenly spaced arrivals per
        second, or text (``"poisson:50"``). Each begins one task of the locustfile at its intended moment, by as many
        users as that takes, ``users`` of them at most (5,000).

        Without, the loop is closed: ``users`` all at once, or ``spawn_rate`` of them per second; None: as the
        locustfile's shape says, else 1. Each waits for its answer before it sends again.

        It ends by itself after ``seconds``. ``options`` are options that the locustfile declares. ``seed`` is drawn
        from the run's when None. Raises ConfigurationError.
        """
        checks.installed()
        chosen = self._chosen_host(host)
        pattern = None if arrivals is None else notation.arrivals(arrivals)
        if pattern and spawn_rate is not None:
            raise ConfigurationError(
                f"spawn_rate={spawn_rate!r} starts the users of a closed loop; with arrivals, leave it out"
            )
        settings = {
            "arrivals": pattern and pattern.document(),
            "locustfile": str(checks.locustfile(self._locustfile if locustfile is None else locustfile, self._root)),
            "users": checks.number("users", users, whole=True),
            "spawn_rate": checks.number("spawn_rate", spawn_rate),
            "host": chosen,
            "classes": list(user_classes),
            "seconds": checks.number("seconds", seconds),
            "seed": self._draw_seed() if seed is None else seed,
            "options": dict(options or {}),
        }
        try:
            json.dumps(settings["options"])
        except TypeError as error:
            raise ConfigurationError(f"options={options!r} cannot be handed over: {error}; give plain values") from None
        return self._make(Traffic, settings)

    def http(
        self,
        requests: Sequence[HttpRequest],
        *,
        arrivals: Arrivals | float | str,
        host: str | None = None,
        seconds: float | None = None,
        seed: int | None = None,
        timeout: float = 10.0,
        connections: int = 5_000,
        keep_alive: bool = True,
        ca: str | Path | None = None,
    ) -> NativeTraffic:
        """An open-loop load by the native engine, checked but not begun.

        ``requests`` are drawn by their weights and sent at the moments of ``arrivals``, over as many connections as
        that takes, up to ``connections``; without ``keep_alive`` each over one of its own. A request that has no
        answer ``timeout`` seconds after its intended moment has failed. ``ca`` is a file of the certificates to trust,
        for https. ``seconds`` and ``seed`` are as for a locustfile. Raises ConfigurationError.
        """
        return self._native(
            "http",
            requests,
            host,
            seed,
            arrivals=arrivals,
            seconds=seconds,
            timeout=timeout,
            connections=connections,
            keep_alive=keep_alive,
            ca=ca,
        )

    def redis(
        self,
        commands: Sequence[RedisCommand],
        *,
        arrivals: Arrivals | float | str,
        host: str | None = None,
        seconds: float | None = None,
        seed: int | None = None,
        timeout: float = 10.0,
        connections: int = 5_000,
    ) -> NativeTraffic:
        """As :meth:`http`, with commands to ``redis://[USER:PASSWORD@]HOST:PORT/0``."""
        return self._native(
            "redis", commands, host, seed, arrivals=arrivals, seconds=seconds, timeout=timeout, connections=connections
        )

    def postgres(
        self,
        queries: Sequence[PostgresQuery],
        *,
        arrivals: Arrivals | float | str,
        host: str | None = None,
        seconds: float | None = None,
        seed: int | None = None,
        timeout: float = 10.0,
        connections: int = 5_000,
    ) -> NativeTraffic:
        """As :meth:`http`, with statements to ``postgresql://USER@HOST:PORT/DATABASE``.

        A server that allows fewer connections than a stall asks for refuses those beyond: ``FATAL sorry, too many
        clients already``.
        """
        return self._native(
            "postgres",
            queries,
            host,
            seed,
            arrivals=arrivals,
            seconds=seconds,
            timeout=timeout,
            connections=connections,
        )

    def grpc(
        self,
        calls: Sequence[GrpcCall],
        *,
        arrivals: Arrivals | float | str,
        host: str | None = None,
        seconds: float | None = None,
        seed: int | None = None,
        timeout: float = 10.0,
        connections: int = 50,
    ) -> NativeTraffic:
        """As :meth:`http`, with unary calls to ``grpc://HOST:PORT``; a connection carries up to a hundred at once."""
        return self._native(
            "grpc", calls, host, seed, arrivals=arrivals, seconds=seconds, timeout=timeout, connections=connections
        )

    def _native(
        self, verb: str, requests: Sequence[Any], host: str | None, seed: int | None, **wanted: Any
    ) -> NativeTraffic:
        from pytest_enterprise.load.native import traffic

        settings = traffic.settings(
            verb, requests, host=self._chosen_host(host), seed=self._draw_seed() if seed is None else seed, **wanted
        )
        return self._make(traffic.NativeTraffic, settings)

    def _chosen_host(self, host: str | None) -> str:
        default = self._host() if host is None and callable(self._host) else self._host
        return checks.host(host if host is not None else default if isinstance(default, str) else None)

    def _make(self, kind: type[Kind], settings: dict[str, Any]) -> Kind:
        link = self._link_of(settings["host"]) if self._link_of else None
        self._made.append(traffic := kind(self._run, self._test, link, settings))
        traffic.engines_cpu = self._engines_cpu
        return traffic

    def replay(
        self,
        path: str | Path,
        *,
        host: str | None = None,
        speed: float = 1.0,
        methods: Iterable[str] | None = None,
        sort: bool = False,
        origin: str | None = None,
        secrets: bool = False,
        users: int | None = None,
        seconds: float | None = None,
        seed: int | None = None,
    ) -> Traffic:
        """A load of the requests of an access log or a HAR file, at their recorded moments; checked but not begun.

        They go to ``host`` alone, ``speed`` times as fast as they came, over at most ``users`` connections (5,000).
        ``methods`` other than GET, HEAD and OPTIONS are sent from a log when they are named, without bodies. ``sort``
        puts a file in order whose times are not. ``origin`` is the host whose requests of a HAR file are meant (None:
        that of its first). Credentials are sent only with ``secrets``. Raises ConfigurationError.
        """
        from pytest_enterprise.load.replayed import LOCUSTFILE, Replay

        pattern = Replay(
            path=str(self._root / path),
            speed=speed,
            methods=methods if methods is None or isinstance(methods, str) else list(methods),
            sort=sort,
            origin=origin,
            secrets=secrets,
        )
        recording = pattern.recording
        traffic = self(LOCUSTFILE, arrivals=pattern, users=users, host=host, seconds=seconds, seed=seed)
        traffic.recording = recording
        return traffic

    def _draw_seed(self) -> int:
        """From the run's seed, the test and the number of its load.

        Two loads of one run must differ: users who draw the same keys again would be answered from what is stored.
        """
        text = f"{self._run.seed}/{self._test}/{len(self._made)}"
        return int.from_bytes(hashlib.sha256(text.encode()).digest()[:6], "big")

    @property
    def all(self) -> tuple[Traffic, ...]:
        """The loads of this test in the order in which they were made."""
        return tuple(self._made)

    def close(self) -> None:
        """End what still runs. Raises LoadFailed, naming them, when a load outlived its test."""
        left = [traffic for traffic in self._made if traffic.running]
        problems = []
        for traffic in left:
            try:
                traffic.end()
            except LoadFailed as error:
                problems.append(str(error))
        if left:
            names = ", ".join(f"{traffic.id} ({traffic.requests} requests)" for traffic in left)
            raise LoadFailed(
                f"the test ended while its load still ran: {names}; it was stopped. "
                "Use `with load(...)`, or call end() before the test ends." + "".join(f"\n{p}" for p in problems)
            )
