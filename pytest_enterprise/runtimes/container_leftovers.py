"""What crashed runs left with the Docker daemon: found by label, removed when the run's process is gone."""

from __future__ import annotations

import contextlib
import os
import platform
import subprocess
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

from pytest_enterprise.errors import EnterpriseError
from pytest_enterprise.run import LABEL
from pytest_enterprise.runtimes import docker_socket

OWNER = "org.pytest-enterprise.owner"
"""Label: the process that made it, as :func:`owner` writes it."""
NETWORK = "org.pytest-enterprise.network"
"""Label: the network of the one stack that it belongs to."""


class Leftover(NamedTuple):
    """One container, network or volume."""

    kind: str
    id: str
    name: str
    run: str

    def __str__(self) -> str:
        return f"{self.kind} {self.name} of run {self.run}"


def _boot() -> str:
    """What tells this boot of this machine, and this namespace of process ids, from others that share the daemon."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot}/{Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return "-"


def _started(pid: int) -> str:
    """When a process started, in the kernel's own words; empty when it does not run."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        if Path("/proc/self/stat").exists():
            return ""
        told = subprocess.run(("ps", "-o", "lstart=", "-p", str(pid)), capture_output=True, text=True, check=False)
        return "_".join(told.stdout.split())
    fields = stat.rpartition(")")[2].split()
    return "" if fields[0] in "ZX" else fields[19]


def owner(pid: int | None = None) -> str:
    """The identity of a process (this one), which no later process will have: host, boot, id, start."""
    pid = os.getpid() if pid is None else pid
    return f"{platform.node()} {_boot()} {pid} {_started(pid)}"


def is_gone(label: str) -> bool:
    """Whether the process behind an owner label is surely dead; processes of other machines never are."""
    try:
        host, boot, pid, started = label.split(" ")
        number = int(pid)
    except ValueError:
        return False
    if host != platform.node():
        return False
    if boot != _boot():
        # Another boot of this machine is over; another namespace of this boot may well be alive.
        return boot.partition("/")[0] != _boot().partition("/")[0]
    return _started(number) != started or not started


def _all(label: str) -> Iterable[tuple[Leftover, dict[str, str]]]:
    filters = {"label": [label]}
    for item in docker_socket.request("GET", "/containers/json", all=1, filters=filters):
        name = (item["Names"] or [item["Id"]])[0].lstrip("/")
        yield Leftover("container", item["Id"], name, item["Labels"].get(LABEL, "?")), item["Labels"]
    for item in docker_socket.request("GET", "/networks", filters=filters):
        yield Leftover("network", item["Id"], item["Name"], item["Labels"].get(LABEL, "?")), item["Labels"]
    for item in docker_socket.request("GET", "/volumes", filters=filters)["Volumes"] or ():
        yield Leftover("volume", item["Name"], item["Name"], item["Labels"].get(LABEL, "?")), item["Labels"]


def find(gone: Callable[[str], bool] = is_gone) -> list[Leftover]:
    """Containers, networks and volumes of runs whose process is dead; none where no daemon answers."""
    if not docker_socket.answers():
        return []
    return [item for item, labels in _all(LABEL) if gone(labels.get(OWNER, ""))]


def of_network(name: str) -> list[Leftover]:
    """Everything that belongs to one stack's network, the network too."""
    return [item for item, _ in _all(f"{NETWORK}={name}")]


def _remove(item: Leftover) -> bool:
    path = f"/{item.kind}s/{item.id}"
    query: dict[str, Any] = {"container": {"force": 1, "v": 1}, "volume": {"force": 1}}.get(item.kind, {})
    try:
        docker_socket.request("DELETE", path, **query)
    except docker_socket.DaemonRefused as error:
        return error.status == 404
    return True


def remove(items: Iterable[Leftover], *, patience: float = 10.0) -> list[Leftover]:
    """Remove them, containers first; what was removed. What Docker still holds is tried for ``patience`` seconds."""
    done: list[Leftover] = []
    waiting = list(items)
    deadline = time.monotonic() + patience
    with ThreadPoolExecutor(8) as pool:
        for kind in ("container", "network", "volume"):
            queue = [item for item in waiting if item.kind == kind]
            while queue:
                removed = list(pool.map(_remove, queue))
                done += [item for item, ok in zip(queue, removed, strict=True) if ok]
                queue = [item for item, ok in zip(queue, removed, strict=True) if not ok]
                if not queue or time.monotonic() > deadline:
                    break
                time.sleep(0.1)
    return done


def remove_leftovers() -> list[str]:
    """Remove what dead runs left; a line for each thing removed."""
    with contextlib.suppress(EnterpriseError):
        return [f"removed {item}" for item in remove(find())]
    return []
