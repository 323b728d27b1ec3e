"""What a crash left: runs register themselves machine-wide, so that a later one can end what an earlier one lost.

A registration is a file of JSON lines in ``$TMPDIR/pytest-enterprise-runs-<uid>/``: first who owns the run, then each
process it started. A run is dead when its owner is; a run whose owner cannot be judged from here (another machine, or
another process namespace that shares the directory) is never touched.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import signal
import tempfile
import time
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from pytest_enterprise.errors import ConfigurationError
from pytest_enterprise.run import VARIABLE
from pytest_enterprise.runtimes import proctree
from pytest_enterprise.runtimes.supervisor import INSTANCE

if TYPE_CHECKING:
    from pytest_enterprise.run import Run


def _folder() -> Path:
    """Where runs register; ours alone, since what stands there decides what is ended and deleted."""
    folder = Path(tempfile.gettempdir()) / f"pytest-enterprise-runs-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.is_symlink() or folder.stat().st_uid != os.getuid():
        raise ConfigurationError(
            f"{folder} belongs to somebody else, and runs must be registered there. Remove it, or set TMPDIR to "
            "another directory."
        )
    return folder


def _boot() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


class Registration:
    """One run's entry; made before anything else of the run, removed last."""

    def __init__(self, run: Run, temporary: Path) -> None:
        self.path = _folder() / f"{run.id}.{os.getpid()}.{secrets.token_hex(3)}.json"
        owner = proctree.process(os.getpid())
        header = {
            "run": run.id,
            "pid": os.getpid(),
            "started": owner.started if owner else 0,
            "host": os.uname().nodename,
            "boot": _boot(),
            "namespace": os.readlink("/proc/self/ns/pid"),  # noqa: PTH115 - not a path
            "at": time.time(),
            "directory": str(run.directory),
            "temporary": str(temporary),
        }
        # Renamed into place: half a line would make a run that nobody can judge.
        partial = self.path.with_suffix(".part")
        partial.write_text(json.dumps(header) + "\n", encoding="utf-8")
        partial.replace(self.path)

    def add_process(self, pid: int) -> None:
        """Note a process of the run: shared memory is known by its maker's id alone."""
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"process": pid, "at": time.time()}) + "\n")

    def remove(self) -> None:
        self.path.unlink(missing_ok=True)


class DeadRun(NamedTuple):
    """A registration whose owner is gone."""

    path: Path
    run: str
    temporary: Path
    began: float
    makers: dict[int, tuple[float, float]]


class Leftover(NamedTuple):
    """One thing that a dead run left."""

    run: str
    kind: str
    """``process``, ``shared memory`` or ``directory``."""
    what: str
    """For people."""
    target: Any
    """Process id, segment or path."""

    def __str__(self) -> str:
        return f"{self.kind} {self.what} of run {self.run}"


def _registrations() -> list[tuple[Path, list[dict[str, Any]]]]:
    found = []
    for path in sorted(_folder().glob("*.json")):
        try:
            lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.endswith("}")]
            if lines and "run" in lines[0]:
                found.append((path, lines))
        except (OSError, ValueError):
            continue
    return found


def _alive(header: dict[str, Any]) -> bool:
    """Whether the owner lives; true as well when that cannot be told from here."""
    if header["host"] != os.uname().nodename:
        return True
    if header["boot"] != _boot():
        return False
    if header["namespace"] != os.readlink("/proc/self/ns/pid"):  # noqa: PTH115
        return True
    owner = proctree.process(header["pid"])
    return owner is not None and not owner.gone and owner.started == header["started"]


def dead_runs() -> list[DeadRun]:
    """The registered runs that nobody owns any more; those of which one owner lives (xdist workers) are not dead."""
    registrations = _registrations()
    living = {lines[0]["run"] for _, lines in registrations if _alive(lines[0])}
    now, boot = time.time(), _boot()
    return [
        DeadRun(
            path,
            lines[0]["run"],
            Path(lines[0]["temporary"]),
            lines[0]["at"],
            {line["process"]: (line["at"], now) for line in lines[1:]} if lines[0]["boot"] == boot else {},
        )
        for path, lines in registrations
        if lines[0]["run"] not in living
    ]


def run_processes(runs: Collection[str], *, instances: Collection[str] | None = None) -> dict[int, str]:
    """The processes of these runs, by what they were started with, and all below them; never this one.

    ``instances`` leaves out those of others.
    """
    table = proctree.processes()
    found: dict[int, str] = {}
    for pid, one in table.items():
        if one.gone or (run := proctree.environment(pid, VARIABLE)) not in runs or run is None:
            continue
        if instances is None or proctree.environment(pid, INSTANCE) in instances:
            found |= dict.fromkeys(proctree.descendants(table, {pid}), run)
    found.pop(os.getpid(), None)
    return {pid: run for pid, run in found.items() if not table[pid].gone}


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text(errors="replace").replace("\0", " ").strip()[:100]
    except OSError:
        return ""


def _find(dead: list[DeadRun]) -> list[Leftover]:
    found = [
        Leftover(run, "process", f"{pid} ({_command(pid)})", pid)
        for pid, run in sorted(run_processes({one.run for one in dead}).items())
    ]
    for one in dead:
        found += [
            Leftover(one.run, "shared memory", f"{segment.id} ({segment.bytes} bytes)", segment)
            for segment in proctree.segments_of(one.makers)
        ]
        if one.temporary.is_dir():
            found.append(Leftover(one.run, "directory", str(one.temporary), one.temporary))
    return found


def find_leftovers() -> list[Leftover]:
    """What dead runs left on this machine, containers aside; of living runs nothing."""
    return _find(dead_runs())


def end_processes(runs: Collection[str], *, since: float, instances: Collection[str] | None = None) -> dict[int, str]:
    """SIGKILL every process of these runs, grandchildren included, and remove the shared memory they had mapped.

    ``since`` (wall clock) is when the first of the runs began; ``instances`` leaves out those of others. Returns what
    was ended, with its command.
    """
    ended: dict[int, str] = {}
    memory: set[str] = set()
    deadline = time.monotonic() + 5
    while found := proctree.freeze(lambda: set(run_processes(runs, instances=instances))):
        ended |= {pid: _command(pid) for pid in found if pid not in ended}
        memory |= proctree.mapped_files(found)
        for pid in found:
            proctree.send(pid, signal.SIGKILL)
        if time.monotonic() > deadline:
            break
        time.sleep(0.01)
    proctree.remove_mapped(memory, since=since)
    return ended


def remove_leftovers() -> list[str]:
    """End and remove what dead runs left; a line for each thing done. Containers are another module's."""
    dead = dead_runs()
    if not dead:
        return []
    done = []
    runs = {one.run for one in dead}
    ended = end_processes(runs, since=min(one.began for one in dead))
    done += [f"ended process {pid} ({command})" for pid, command in sorted(ended.items())]
    for leftover in _find(dead):
        if leftover.kind == "shared memory" and proctree.remove_segment(leftover.target):
            done.append(f"removed {leftover}")
        elif leftover.kind == "directory":
            shutil.rmtree(leftover.target, ignore_errors=True)
            done.append(f"removed {leftover}")
    for one in dead:
        one.path.unlink(missing_ok=True)
    return done
