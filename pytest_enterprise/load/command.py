"""``pytest-enterprise load``: a locustfile against a host, in the terminal or with Locust's web UI."""

from __future__ import annotations

import argparse
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from pytest_enterprise.errors import ConfigurationError
from pytest_enterprise.run import VARIABLE

if TYPE_CHECKING:
    from pytest_enterprise.load.generator import Traffic


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what ``load`` takes."""
    parser.add_argument("locustfile", help="the file with the user classes")
    parser.add_argument("--host", metavar="URL", help="base URL; default: that of the stack that is up here")
    parser.add_argument("--users", type=int, metavar="N", help="how many; default: the locustfile's shape, else 1")
    parser.add_argument("--rate", type=float, metavar="R", help="task runs per second and user, for EnterpriseUser")
    parser.add_argument("--spawn-rate", type=float, metavar="R", help="users to start per second; default: all at once")
    parser.add_argument("--seconds", type=float, metavar="S", help="end after so long; default: until Ctrl-C")
    parser.add_argument("--seed", type=int, metavar="N", help="the seed of the users' random choices")
    parser.add_argument(
        "--option", action="append", default=[], metavar="NAME=VALUE", help="an option that the locustfile declares"
    )
    parser.add_argument("--reports", default="reports", metavar="DIR", help="where the run directory is made")
    parser.add_argument(
        "--web", action="store_true", help="Locust's web UI on 127.0.0.1 instead, with charts, faults and objectives"
    )
    add_web_arguments(parser)


def add_web_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what concerns the web UI alone."""
    parser.add_argument("--web-port", type=int, default=8089, metavar="PORT", help="default: 8089")
    parser.add_argument("--objectives", metavar="FILE", help="TOML with the objectives that the web UI judges")


def main(arguments: argparse.Namespace) -> int:
    """Run the load: 0 when it ran, whatever its requests met. Raises ConfigurationError, LoadFailed."""
    from pytest_enterprise.load import checks

    options = _options(arguments)
    checks.installed()
    arguments.locustfile = checks.locustfile(arguments.locustfile)
    if arguments.host is None:
        arguments.host = _host_of_stack(arguments.reports)
    arguments.host = checks.host(arguments.host)
    checks.number("users", arguments.users, whole=True)
    for name in ("rate", "spawn_rate", "seconds"):
        checks.number(name, getattr(arguments, name))
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
    from pytest_enterprise.run import Run
    from pytest_enterprise.settings import Settings

    os.environ.setdefault(client.REPORTS, arguments.reports)
    words = ["--host", arguments.host]
    if arguments.users:
        words += ["--users", str(arguments.users), "--spawn-rate", str(arguments.spawn_rate or arguments.users)]
    for name, value in options.items():
        words += [f"--{name.replace('_', '-')}", str(value)]
    check_web(arguments.web_port, arguments.objectives)
    run = None if client.find() else Run(Settings(reports=arguments.reports, seed=arguments.seed))
    if run:
        run.write()
        run.events.emit("run.started", run=run.id, seed=run.seed, command=sys.argv)
    process = start_web(
        arguments.locustfile,
        words,
        port=arguments.web_port,
        objectives=arguments.objectives,
        directory=run.directory if run else None,
    )
    print(f"Locust's web UI: {web_url(arguments.web_port)}  (Ctrl-C ends it)", flush=True)  # noqa: T201
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    status = 0
    try:
        status = process.wait() and 2
    except KeyboardInterrupt:
        pass
    finally:
        end_web(process)
        if run:
            run.events.emit("run.finished", exit_status=status)
            run.finish(exit_status=status)
    return status


def web_url(port: int) -> str:
    """Where a person opens the web UI."""
    return f"http://127.0.0.1:{port}"


def check_web(port: int, objectives: str | None) -> None:
    """Raise ConfigurationError when a web UI cannot be had on that port or with those objectives."""
    from pytest_enterprise.load.web.objectives import read

    read(objectives)
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except (OSError, OverflowError) as error:
            reason = error.strerror if isinstance(error, OSError) else "ports go from 1 to 65535"
            raise ConfigurationError(
                f"--web-port {port}: {reason}. Give another one, or end what listens there."
            ) from None


def start_web(
    locustfile: str | Path,
    words: Sequence[str],
    *,
    port: int,
    objectives: str | None = None,
    directory: Path | None = None,
    environment: Mapping[str, str] = MappingProxyType({}),
) -> subprocess.Popen[bytes]:
    """Locust with its web UI and our page in it, in a process of its own; end it with :func:`end_web`.

    ``words`` are further ones of its command line. Loads are recorded in ``directory``; None: in the run of the stack
    that is up. ``environment`` comes beside this process's own.
    """
    command = [sys.executable, "-m", "pytest_enterprise.load.web", "-f", str(locustfile), *words]
    command += ["--web-host", "127.0.0.1", "--web-port", str(port)]
    variables = {**os.environ, **environment}
    if objectives:
        variables["PYTEST_ENTERPRISE_OBJECTIVES"] = objectives
    variables["PYTEST_ENTERPRISE_PARENT"] = str(os.getpid())
    if directory:
        variables |= {"PYTEST_ENTERPRISE_RUN_DIRECTORY": str(directory), VARIABLE: directory.name}
    return subprocess.Popen(command, env=variables, start_new_session=True)


def end_web(process: subprocess.Popen[bytes]) -> None:
    """Ask Locust to end, and see that it does."""
    if process.poll() is None:
        process.terminate()
    try:
        process.wait(15)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


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
    try:
        with traffic:
            _show_progress(traffic)
        status = 0
    finally:
        run.finish(exit_status=status)
    _say("\n".join(table(traffic)))
    _say(f"every request: {traffic.path}.requests")
    return status


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
