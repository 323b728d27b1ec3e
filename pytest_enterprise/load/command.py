"""``pytest-enterprise load``: a locustfile against a host, in the terminal or with Locust's web UI."""

from __future__ import annotations

import argparse
import json
import shlex
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_enterprise.errors import ConfigurationError

if TYPE_CHECKING:
    from pytest_enterprise.load.generator import Traffic
    from pytest_enterprise.run import Run


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what ``load`` takes."""
    parser.add_argument("locustfile", help="the file with the user classes")
    parser.add_argument("--host", required=True, metavar="URL", help="base URL, as `pytest-enterprise up` prints it")
    parser.add_argument("--users", type=int, metavar="N", help="how many; default: the locustfile's shape, else 1")
    parser.add_argument("--rate", type=float, metavar="R", help="task runs per second and user, for EnterpriseUser")
    parser.add_argument("--spawn-rate", type=float, metavar="R", help="users to start per second; default: all at once")
    parser.add_argument("--seconds", type=float, metavar="S", help="end after so long; default: until Ctrl-C")
    parser.add_argument("--seed", type=int, metavar="N", help="the seed of the users' random choices")
    parser.add_argument(
        "--option", action="append", default=[], metavar="NAME=VALUE", help="an option that the locustfile declares"
    )
    parser.add_argument(
        "--objectives",
        action="append",
        default=[],
        metavar="NAME",
        help="judge the load: a group of objectives in pyproject.toml, or the path of an OpenSLO document",
    )
    parser.add_argument("--reports", default="reports", metavar="DIR", help="where the run directory is made")
    parser.add_argument("--web", action="store_true", help="Locust's web UI on 127.0.0.1 instead")
    parser.add_argument("--web-port", type=int, default=8089, metavar="PORT")


def main(arguments: argparse.Namespace) -> int:
    """Run the load: 0 when it ran, whatever its requests met; 1 when one of ``--objectives`` did not hold.

    Raises ConfigurationError, LoadFailed.
    """
    from pytest_enterprise.load import checks

    options = _options(arguments)
    checks.installed()
    arguments.locustfile = checks.locustfile(arguments.locustfile)
    arguments.host = checks.host(arguments.host)
    checks.number("users", arguments.users, whole=True)
    for name in ("rate", "spawn_rate", "seconds"):
        checks.number(name, getattr(arguments, name))
    if arguments.objectives:
        from pytest_enterprise.objectives.written import read

        for name in arguments.objectives:  # before the load, so that a mistake in a file costs nothing
            read(name, Path.cwd())
    return _web(arguments, options) if arguments.web else _terminal(arguments, options)


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


def _web(arguments: argparse.Namespace, options: dict[str, Any]) -> int:
    command = [sys.executable, "-m", "locust", "-f", str(arguments.locustfile), "--host", arguments.host]
    command += ["--web-host", "127.0.0.1", "--web-port", str(arguments.web_port)]
    if arguments.users:
        command += ["--users", str(arguments.users), "--spawn-rate", str(arguments.spawn_rate or arguments.users)]
    for name, value in options.items():
        command += [f"--{name.replace('_', '-')}", str(value)]
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", arguments.web_port))
        except OSError as error:
            raise ConfigurationError(
                f"--web-port {arguments.web_port}: {error.strerror}. Give another one, or end what listens there."
            ) from None
    print(f"Locust's web UI: http://127.0.0.1:{arguments.web_port}  (Ctrl-C ends it)")  # noqa: T201
    try:
        return subprocess.run(command, check=False).returncode and 2
    except KeyboardInterrupt:
        return 0


def _terminal(arguments: argparse.Namespace, options: dict[str, Any]) -> int:
    from pytest_enterprise.load.generator import Load
    from pytest_enterprise.run import Run
    from pytest_enterprise.settings import Settings

    run = Run(Settings(reports=arguments.reports, seed=arguments.seed))
    traffic = Load(run, "")(
        arguments.locustfile,
        users=arguments.users,
        host=arguments.host,
        spawn_rate=arguments.spawn_rate,
        seconds=arguments.seconds,
        options=options,
    )
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
    lines += [f"{count:>8,d} x in a task: {error}" for error, count in traffic.user_errors.items()]
    lines.append("closed loop: a user waits for its answer before it sends again, so a stalled server is asked less")
    return lines


def _say(line: str) -> None:
    print(line, flush=True)  # noqa: T201
