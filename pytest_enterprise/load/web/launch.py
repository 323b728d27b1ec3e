"""Starts Locust with its web UI and our page in it, from the command line."""

from __future__ import annotations

import argparse
import os
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from pytest_enterprise.errors import ConfigurationError
from pytest_enterprise.run import VARIABLE

OBJECTIVES = "PYTEST_ENTERPRISE_OBJECTIVES"
"""What the page judges by, with commas between; without it there are defaults."""
WINDOW = "PYTEST_ENTERPRISE_WINDOW"
"""Of how many last seconds."""
DIRECTORY = "PYTEST_ENTERPRISE_RUN_DIRECTORY"
"""The run directory into which loads are recorded."""
PARENT = "PYTEST_ENTERPRISE_PARENT"
"""The process without which Locust is to end."""


class Page(NamedTuple):
    """The web UI as it is asked for."""

    locustfile: str | Path
    port: int
    objectives: Sequence[str]
    window: float

    @property
    def url(self) -> str:
        """Where a person opens it."""
        return f"http://127.0.0.1:{self.port}"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what concerns the web UI, and what is judged."""
    parser.add_argument("--web-port", type=int, default=8089, metavar="PORT", help="default: 8089")
    parser.add_argument(
        "--objectives",
        action="append",
        default=[],
        metavar="NAME",
        help="judge the load: a group of objectives in pyproject.toml, or the path of an OpenSLO document",
    )
    parser.add_argument(
        "--window", type=float, default=60.0, metavar="S", help="the web UI judges the last S seconds; default: 60"
    )


def check_objectives(names: Sequence[str], window: float) -> None:
    """Raise ConfigurationError when these name no objectives, or the window can be none."""
    from pytest_enterprise.load import checks
    from pytest_enterprise.objectives.written import read

    for name in names:
        read(name, Path.cwd())
    if checks.number("window", window) > 600:
        raise ConfigurationError(f"window={window:g} is too long; give seconds up to 600")


def check_port(port: int) -> None:
    """Raise ConfigurationError when nothing can listen on that port."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except (OSError, OverflowError) as error:
            reason = error.strerror if isinstance(error, OSError) else "ports go from 1 to 65535"
            raise ConfigurationError(
                f"--web-port {port}: {reason}. Give another one, or end what listens there."
            ) from None


def start(
    page: Page,
    words: Sequence[str] = (),
    *,
    directory: Path | None = None,
    environment: Mapping[str, str] = MappingProxyType({}),
) -> subprocess.Popen[bytes]:
    """Locust in a process of its own, with further ``words`` on its command line; end it with :func:`end`.

    Loads are recorded in ``directory``; None: in the run of the stack that is up. ``environment`` comes beside this
    process's own.
    """
    command = [sys.executable, "-m", "pytest_enterprise.load.web", "-f", str(page.locustfile), *words]
    command += ["--web-host", "127.0.0.1", "--web-port", str(page.port)]
    variables = {**os.environ, **environment, PARENT: str(os.getpid()), WINDOW: str(page.window)}
    if page.objectives:
        variables[OBJECTIVES] = ",".join(page.objectives)
    if directory:
        variables |= {DIRECTORY: str(directory), VARIABLE: directory.name}
    return subprocess.Popen(command, env=variables, start_new_session=True)


def end(process: subprocess.Popen[bytes]) -> None:
    """Ask Locust to end, and see that it does."""
    if process.poll() is None:
        process.terminate()
    try:
        process.wait(15)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
