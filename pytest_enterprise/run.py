"""A run: one pytest session (or one ``pytest-enterprise up``) and the directory that holds all it leaves."""

from __future__ import annotations

import itertools
import json
import os
import re
import secrets
import subprocess
import sys
import time
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from pytest_enterprise import events
from pytest_enterprise.errors import cannot_write
from pytest_enterprise.ports import Ports
from pytest_enterprise.settings import Settings

VARIABLE = "PYTEST_ENTERPRISE_RUN"
"""Set in the environment of everything a run starts, so that it can be found again after a crash."""
LABEL = "org.pytest-enterprise.run"
"""The label of every container, network, volume and image made by a run."""

_PASSWORD = re.compile(r"://[^\s:/@]*:([^\s/@]+)@")
"""In a URL."""


def _git(*arguments: str) -> str:
    try:
        done = subprocess.run(("git", *arguments), capture_output=True, text=True, timeout=5, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def new_id() -> str:
    """A run's identity: the time, for people, and a random part."""
    return time.strftime("%Y%m%dT%H%M%SZ-", time.gmtime()) + secrets.token_hex(3)


def draw_seed(settings: Settings) -> int:
    """The seed of the settings, or a new one."""
    return secrets.randbits(32) if settings.seed is None else settings.seed


class Run:
    """Identity, directory, seed, ports and event log of a run.

    ``worker`` is the xdist worker ("gw0"), whose files lie in the directory of the controller's run.
    """

    def __init__(self, settings: Settings, *, id: str | None = None, worker: str = "", seed: int | None = None) -> None:
        self.settings = settings
        self.id = id or new_id()
        self.worker = worker
        self.seed: int = draw_seed(settings) if seed is None else seed
        self.directory = Path(settings.reports).absolute() / self.id
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            self.events = events.EventLog(self.directory)
        except OSError as error:
            raise cannot_write(self.directory, error) from error
        for url in settings.url.values():
            if found := _PASSWORD.search(url):
                self.events.secrets.add(found[1], unquote(found[1]))
        self.ports = Ports()
        self.numbers = itertools.count(1)
        """Numbers for what the run names: faults, loads."""

    @property
    def engines(self) -> Path:
        """Where logs, configuration and data of this process's engines lie."""
        return self.directory / "engines" / self.worker

    def describe(self) -> dict[str, Any]:
        """What ``run.json`` holds at the start: identity, seed, commit, versions, machine."""
        import platform

        from pytest_enterprise import __version__

        return {
            "format": 1,
            "run": self.id,
            "seed": self.seed,
            "command": sys.argv,
            "commit": _git("rev-parse", "HEAD"),
            "clean": _git("status", "--porcelain") == "",
            "version": __version__,
            "python": platform.python_version(),
            "platform": platform.platform(),
            "cpus": os.cpu_count(),
            "settings": self.settings._asdict(),
            "started": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "clock": {"monotonic": time.monotonic_ns(), "wall": time.time_ns()},
        }

    def read(self) -> dict[str, Any]:
        """What ``run.json`` holds now."""
        found: dict[str, Any] = json.loads((self.directory / "run.json").read_text(encoding="utf-8"))
        return found

    def write(self, **fields: Any) -> None:
        """Create or extend ``run.json``. Raises ConfigurationError when there is no room or no right to."""
        path = self.directory / "run.json"
        document = json.loads(path.read_text()) if path.exists() else self.describe()
        document.update(fields)
        partial = path.with_suffix(".json.part")
        try:
            told = self.events.secrets.document(document)
            partial.write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")
            partial.replace(path)
        except OSError as error:
            raise cannot_write(path, error) from error

    def finish(self, **fields: Any) -> None:
        """Write the outcome, merge the events and point ``latest`` at this run; for the controller only.

        Raises ConfigurationError when there is no room for all of it; what is there already stays.
        """
        self.ports.release()
        self.events.close()
        if self.events.failure:
            raise cannot_write(self.directory, self.events.failure)
        self.write(finished=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), **fields)
        latest = self.directory.parent / "latest"
        partial = latest.with_name(f"latest.{self.id}")
        try:
            events.merge(self.directory)
            partial.symlink_to(self.id)
            partial.replace(latest)
        except OSError as error:
            raise cannot_write(self.directory, error) from error
