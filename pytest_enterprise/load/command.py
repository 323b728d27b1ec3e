"""``pytest-enterprise load``: a locustfile or requests against a host, in the terminal or with Locust's web UI."""

from __future__ import annotations

import argparse
import json
import os
import shlex
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_enterprise.errors import ConfigurationError
from pytest_enterprise.load import notation
from pytest_enterprise.load.native import command as native
from pytest_enterprise.load.web import launch

if TYPE_CHECKING:
    from pytest_enterprise.load.generator import Load
    from pytest_enterprise.load.traffic import Traffic
    from pytest_enterprise.run import Run


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what ``load`` takes."""
    parser.add_argument("locustfile", nargs="?", help="the file with the user classes")
    parser.add_argument("--host", metavar="URL", help="base URL; default: that of the stack that is up here")
    parser.add_argument(
        "--arrivals",
        metavar="PATTERN",
        help=f"an open loop, each arrival of which runs one task: a number per second, {notation.EXAMPLES}, or JSON",
    )
    parser.add_argument(
        "--users",
        type=int,
        metavar="N",
        help="how many; default: the locustfile's shape, else 1. With --arrivals: at most so many at once (5,000)",
    )
    parser.add_argument("--rate", type=float, metavar="R", help="task runs per second and user, in a closed loop")
    parser.add_argument("--spawn-rate", type=float, metavar="R", help="users to start per second; default: all at once")
    parser.add_argument("--seconds", type=float, metavar="S", help="end after so long; default: until Ctrl-C")
    parser.add_argument("--seed", type=int, metavar="N", help="the seed of the users' random choices")
    parser.add_argument(
        "--option", action="append", default=[], metavar="NAME=VALUE", help="an option that the locustfile declares"
    )
    replay = parser.add_argument_group("recorded traffic, sent again with its timing, to --host alone")
    replay.add_argument("--replay", metavar="FILE", help="an access log (common, combined, Envoy's) or a HAR file")
    replay.add_argument("--replay-speed", type=float, default=1.0, metavar="X", help="so many times as fast")
    replay.add_argument("--replay-methods", metavar="A,B", help="default: of a log GET,HEAD,OPTIONS")
    replay.add_argument("--replay-sort", action="store_true", help="put a file in order whose times are not")
    replay.add_argument("--replay-origin", metavar="HOST", help="the host of a HAR file; default: its first")
    replay.add_argument("--replay-secrets", action="store_true", help="send recorded credentials too")
    parser.add_argument("--reports", default="reports", metavar="DIR", help="where the run directory is made")
    parser.add_argument(
        "--web", action="store_true", help="Locust's web UI on 127.0.0.1 instead, with charts, faults and objectives"
    )
    parser.add_argument(
        "--processes", type=int, metavar="N", help="with --web: so many worker processes make the requests, not one"
    )
    launch.add_arguments(parser)
    native.add_arguments(parser)


def main(arguments: argparse.Namespace) -> int:
    """Run the load: 0 when it ran, whatever its requests met; 1 when one of ``--objectives`` did not hold.

    Raises ConfigurationError, LoadFailed.
    """
    from pytest_enterprise.load import checks

    launch.check_objectives(arguments.objectives, arguments.window)  # before the load: a mistake then costs nothing
    arguments.host = checks.host(arguments.host or _host_of_stack(arguments.reports))
    _replay(arguments)
    if native.asked(arguments):
        return _terminal(arguments, native.checked(arguments))
    options = _options(arguments)
    checks.installed()
    arguments.locustfile = checks.locustfile(arguments.locustfile)
    checks.number("users", arguments.users, whole=True)
    checks.number("processes", arguments.processes, whole=True)
    if arguments.processes and not arguments.web:
        raise ConfigurationError("--processes is for --web; without it the load is made by one process")
    if arguments.arrivals is not None:
        arguments.arrivals = notation.arrivals(arguments.arrivals)
        for name in ("rate", "spawn_rate"):
            if getattr(arguments, name) is not None:
                told = name.replace("_", "-")
                raise ConfigurationError(f"--{told} is for the users of a closed loop; with --arrivals, leave it out")
    for name in ("rate", "spawn_rate", "seconds"):
        checks.number(name, getattr(arguments, name))
    if arguments.web:
        return _web(arguments, options)

    def make(load: Load) -> Traffic:
        return load(
            arguments.locustfile,
            arrivals=arguments.arrivals,
            users=arguments.users,
            host=arguments.host,
            spawn_rate=arguments.spawn_rate,
            seconds=arguments.seconds,
            options=options,
        )

    return _terminal(arguments, make)


def _replay(arguments: argparse.Namespace) -> None:
    """Make the arguments those of a replay, where one is asked for, and say what it will send."""
    if arguments.replay is None:
        return
    if arguments.locustfile or arguments.get or arguments.requests:
        raise ConfigurationError("--replay is a load of its own; leave out the locustfile, --get and --requests")
    if arguments.arrivals is not None:
        raise ConfigurationError("--arrivals are not for a replay, which has its own; see --replay-speed")
    from pytest_enterprise.load.replayed import LOCUSTFILE, Replay

    methods = arguments.replay_methods
    arguments.locustfile = LOCUSTFILE
    arguments.arrivals = Replay(
        path=str(Path(arguments.replay).absolute()),
        speed=arguments.replay_speed,
        methods=methods if methods is None else methods.split(","),
        sort=arguments.replay_sort,
        origin=arguments.replay_origin,
        secrets=arguments.replay_secrets,
    )
    _say("\n".join(arguments.arrivals.recording.summary()))


def _options(arguments: argparse.Namespace) -> dict[str, Any]:
    options: dict[str, Any] = {}
    for line in arguments.option:
        name, equals, text = line.partition("=")
        if not equals or not name:
            raise ConfigurationError(f"--option {line!r} is not of the form NAME=VALUE")
        try:
            options[name] = json.loads(text)
        except ValueError:
            options[name] = text
    if arguments.rate is not None:
        options["rate"] = arguments.rate
    return options


def _host_of_stack(reports: str) -> str:
    """Where load reaches the stack that is up. Raises ConfigurationError when none is."""
    from pytest_enterprise.control import client

    os.environ.setdefault(client.REPORTS, reports)
    control = client.find()
    hosts = control.get("/")["hosts"] if control else []
    if not hosts:
        why = "the stack that is up has no link from load" if control else "no stack is up here"
        raise ConfigurationError(f"a load needs a host, and {why}; give --host http://127.0.0.1:8000")
    return str(hosts[0])


def _web(arguments: argparse.Namespace, options: dict[str, Any]) -> int:
    from pytest_enterprise.control import client
    from pytest_enterprise.ports import Ports
    from pytest_enterprise.run import Run
    from pytest_enterprise.settings import Settings

    os.environ.setdefault(client.REPORTS, arguments.reports)
    words = ["--host", arguments.host]
    if arguments.arrivals:
        words += ["--arrivals", json.dumps(arguments.arrivals.document())]
        words += ["--arrivals-at-most", str(arguments.users)] if arguments.users else []
        words += ["--arrivals-seed", str(arguments.seed)] if arguments.seed is not None else []
        words += ["--users", "1", "--spawn-rate", "1"]
    elif arguments.users:
        words += ["--users", str(arguments.users), "--spawn-rate", str(arguments.spawn_rate or arguments.users)]
    ports = Ports()
    if arguments.processes:
        port = str(ports.take())
        words += ["--processes", str(arguments.processes), "--master-bind-host", "127.0.0.1"]
        words += ["--master-bind-port", port, "--master-port", port]
    for name, value in options.items():
        words += [f"--{name.replace('_', '-')}", str(value)]
    launch.check_port(arguments.web_port)
    run = None if client.find() else Run(Settings(reports=arguments.reports, seed=arguments.seed))
    if run:
        run.write()
        run.events.emit("run.started", run=run.id, seed=run.seed, command=sys.argv)
    page = launch.Page(arguments.locustfile, arguments.web_port, arguments.objectives, arguments.window)
    process = launch.start(page, words, directory=run.directory if run else None)
    _say(f"Locust's web UI: {page.url}  (Ctrl-C ends it)")
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    status = 0
    try:
        status = process.wait() and 2
    except KeyboardInterrupt:
        pass
    finally:
        launch.end(process)
        ports.release()
        if run:
            run.events.emit("run.finished", exit_status=status)
            run.finish(exit_status=status)
    return status


def _terminal(arguments: argparse.Namespace, make: Callable[[Load], Traffic]) -> int:
    from pytest_enterprise.load.generator import Load
    from pytest_enterprise.run import Run
    from pytest_enterprise.settings import Settings

    run = Run(Settings(reports=arguments.reports, seed=arguments.seed))
    traffic = make(Load(run, ""))
    run.write()
    status = 2
    judged: list[str] = []
    try:
        with traffic:
            _show_progress(traffic)
        status = _judge(arguments.objectives, run, traffic, judged.append) if arguments.objectives else 0
    finally:
        run.finish(exit_status=status)
    _say("\n".join([*table(traffic), *judged]))
    _say(f"every request: {traffic.path}.requests")
    return status


def _judge(names: list[str], run: Run, traffic: Traffic, say: Callable[[str], object]) -> int:
    """The exit status by the objectives of these names, each of which is said."""
    from pytest_enterprise.objectives import ObjectiveBroken, Objectives
    from pytest_enterprise.objectives.message import headline

    again = shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]])
    judge = Objectives(run.events.emit, f"load {traffic.id}", seed=run.seed, again=again)
    message = ""
    try:
        judge.check(*names, load=traffic)
    except ObjectiveBroken as error:
        message = f"\n{error}"
    for verdict in judge.verdicts:
        say(f"{verdict.objective}: {headline(verdict)}")
    if message:
        say(message)
    return 1 if message else 0


def _show_progress(traffic: Traffic) -> None:
    live = sys.stdout.isatty()
    seconds = 0
    try:
        while not traffic.finished:
            traffic.run_for(1)
            seconds += 1
            line = (
                f"{seconds:5d} s  {traffic.active_users:5d} users  {traffic.requests:9,d} requests  "
                f"{traffic.failures:7,d} failed"
            )
            if live:
                print(f"\r{line}", end="", flush=True)  # noqa: T201
            elif seconds % 10 == 0:
                _say(line)
    except KeyboardInterrupt:
        pass
    if live:
        _say("")


def table(traffic: Traffic) -> list[str]:
    """The figures of a load that has ended, exact, from its records; times in milliseconds."""
    from pytest_enterprise.load import statistics

    requests = traffic.records()
    rows = statistics.by_name(requests)
    width = max((len(row.name) for row in rows), default=8)
    columns = ("requests", "failed", "per s", "p50 ms", "p95 ms", "p99 ms", "max ms")
    lines = [f"{'name':{width}}" + "".join(f"{column:>10}" for column in columns)]
    for row in [*rows, statistics.summarise(requests)]:
        times = (row.p50, row.p95, row.p99, row.maximum)
        lines.append(
            f"{row.name:{width}}{row.count:>10,d}{row.failures:>10,d}{row.per_second:>10.1f}"
            + "".join(f"{'-' if time is None else format(time * 1e3, '.1f'):>10}" for time in times)
        )
    lines += [f"{count:>8,d} x {name}: {error}" for name, error, count in statistics.errors(requests)[:10]]
    lines += [f"{count:>8,d} x raised by the locustfile: {error}" for error, count in traffic.user_errors.items()]
    if traffic.closed_loop:
        lines.append(
            "closed loop: a user waits for its answer before it sends again, so a stalled server is asked less"
        )
        return lines
    told = traffic.arrivals
    lines.append(
        f"open loop: {told.get('made', 0):,} of {told.get('due', 0):,} arrivals made, "
        f"the latest {told.get('lag', 0) * 1e3:.1f} ms after its moment; latency counts from the intended moment"
    )
    lines += [f"GENERATOR BEHIND, do not judge by this load: {traffic.behind}"] if traffic.behind else []
    return lines


def _say(line: str) -> None:
    print(line, flush=True)  # noqa: T201
