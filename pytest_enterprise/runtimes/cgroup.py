"""Control groups of our own for the processes of one instance: limits that are its alone, and go with the group.

A group's name says who made it, so that after a crash it can be found and removed without any record: see
:func:`remove_leftovers`.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import time
from collections.abc import Callable, Collection
from pathlib import Path

from pytest_enterprise.errors import FaultFailed, MachineCannot
from pytest_enterprise.runtimes import proctree

ROOT = Path("/sys/fs/cgroup")
_PREFIX = "pytest-enterprise-"
_PERIOD = 20_000
"""Microseconds in which a group's CPU time is counted: short, so that a starved server crawls rather than stutters."""


def _top(controller: str) -> Path:
    """Where groups of a controller are made: version 1 has a tree for each, version 2 one for all."""
    return ROOT if (ROOT / "cgroup.controllers").exists() else ROOT / controller


def why_not(controller: str) -> str | None:
    """Why this machine lets us make no group with that controller, and the way out; None when it does."""
    top = _top(controller)
    if not top.is_dir():
        return f"this machine has no control group controller {controller!r} ({top} is not there)"
    if top == ROOT and controller not in (top / "cgroup.subtree_control").read_text().split():
        return f"the controller {controller!r} is off below {top}: echo +{controller} > {top}/cgroup.subtree_control"
    if not os.access(top, os.W_OK):
        return f"control groups can be made below {top} by root only: run the tests as root"
    return None


class Group:
    """One group with one controller. ``close`` gives its processes back and removes it."""

    def __init__(self, controller: str) -> None:
        """Raises MachineCannot where the machine lets us make none."""
        if reason := why_not(controller):
            raise MachineCannot(reason)
        owner = proctree.process(os.getpid())
        started = owner.started if owner else 0
        self._controller = controller
        self._unified = _top(controller) == ROOT
        self._path = _top(controller) / f"{_PREFIX}{os.getpid()}-{started}-{secrets.token_hex(3)}"
        self._homes: dict[int, Path] = {}
        self._path.mkdir()

    def set(self, **values: int) -> None:
        """Set limits: ``cpu`` (hundredths of a CPU), ``memory`` (bytes), ``pids`` (processes and threads)."""
        for name, value in values.items():
            for file, text in self._files(name, value):
                with contextlib.suppress(FileNotFoundError):  # swap is not accounted everywhere
                    (self._path / file).write_text(text)

    def _files(self, name: str, value: int) -> list[tuple[str, str]]:
        quota = str(max(1000, value * _PERIOD // 100))
        if self._unified:
            return {
                "cpu": [("cpu.max", f"{quota} {_PERIOD}")],
                "memory": [("memory.max", str(value)), ("memory.swap.max", "0")],
                "pids": [("pids.max", str(value))],
            }[name]
        return {
            "cpu": [("cpu.cfs_period_us", str(_PERIOD)), ("cpu.cfs_quota_us", quota)],
            "memory": [
                ("memory.limit_in_bytes", str(value)),
                ("memory.memsw.limit_in_bytes", str(value)),
            ],
            "pids": [("pids.max", str(value))],
        }[name]

    def take(self, processes: Callable[[], Collection[int]]) -> int:
        """Move processes in, those too that they start meanwhile; how many there were."""
        for _ in range(20):
            new = [pid for pid in processes() if pid not in self._homes]
            if not new:
                break
            for pid in new:
                self._homes[pid] = self._home(pid)
                with contextlib.suppress(ProcessLookupError, OSError):
                    (self._path / "cgroup.procs").write_text(str(pid))
        return len(self._homes)

    def _home(self, pid: int) -> Path:
        try:
            lines = Path(f"/proc/{pid}/cgroup").read_text().splitlines()
        except OSError:
            return _top(self._controller)
        for line in lines:
            _, controllers, path = line.split(":", 2)
            if (self._unified and not controllers) or self._controller in controllers.split(","):
                return _top(self._controller) / path.lstrip("/")
        return _top(self._controller)

    def processes(self) -> list[int]:
        """Who is in it now."""
        return [int(line) for line in (self._path / "cgroup.procs").read_text().split()]

    def events(self) -> dict[str, int]:
        """What the kernel counted: ``throttled`` periods, ``refused`` allocations or forks, ``oom_kills``."""
        found = {}
        for file, keys in {
            "cpu.stat": {"nr_throttled": "throttled"},
            "memory.events": {"max": "refused", "oom_kill": "oom_kills"},
            "memory.oom_control": {"oom_kill": "oom_kills"},
            "pids.events": {"max": "refused"},
        }.items():
            with contextlib.suppress(OSError):
                for line in (self._path / file).read_text().splitlines():
                    name, _, value = line.partition(" ")
                    if name in keys:
                        found[keys[name]] = int(value)
        for file in ("memory.failcnt", "memory.memsw.failcnt"):
            with contextlib.suppress(OSError):
                found["refused"] = found.get("refused", 0) + int((self._path / file).read_text())
        return found

    def used(self) -> int:
        """Bytes or processes that it holds now."""
        names = {"memory": ("memory.current", "memory.usage_in_bytes"), "pids": ("pids.current",)}
        for name in names[self._controller]:
            with contextlib.suppress(OSError):
                return int((self._path / name).read_text())
        return 0

    def close(self) -> None:
        """Give the processes back to where they were and remove the group."""
        default = next(iter(self._homes.values()), _top(self._controller))
        _empty(self._path, lambda pid: self._homes.get(pid, default))


def _empty(path: Path, home: Callable[[int], Path]) -> None:
    """Move every process out and remove the group."""
    for _ in range(50):
        try:
            pids = [int(line) for line in (path / "cgroup.procs").read_text().split()]
        except OSError:
            return
        for pid in pids:
            with contextlib.suppress(OSError):
                (home(pid) / "cgroup.procs").write_text(str(pid))
        try:
            path.rmdir()
        except OSError:
            time.sleep(0.02)
        else:
            return
    raise FaultFailed(f"the control group {path} cannot be removed; its limits may still hold: rmdir {path}")


def find_leftovers() -> list[Path]:
    """Groups whose makers are gone."""
    found = []
    for path in (*ROOT.glob(f"{_PREFIX}*"), *ROOT.glob(f"*/{_PREFIX}*")):
        parts = path.name.removeprefix(_PREFIX).split("-")
        if len(parts) == 3 and parts[0].isdecimal():
            owner = proctree.process(int(parts[0]))
            if owner is None or str(owner.started) != parts[1]:
                found.append(path)
    return found


def remove_leftovers() -> list[str]:
    """Lift the limits that a crash left; a line for each."""
    done = []
    for path in find_leftovers():
        with contextlib.suppress(FaultFailed):
            _empty(path, lambda _, path=path: path.parent)  # type: ignore[misc]
            done.append(f"control group {path}")
    return done
