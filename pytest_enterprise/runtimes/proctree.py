"""Processes and shared memory as the kernel shows them: found by descent, ended as a whole, cleaned up after.

Used by the supervisor, which must start quickly: nothing here imports more than a few small standard modules.
"""

from __future__ import annotations

import ctypes
import os
import signal
import stat
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import NamedTuple

TICKS = os.sysconf("SC_CLK_TCK")
_SHARED_MEMORY = "/dev/shm/"
_IPC_RMID = 0


class Process(NamedTuple):
    """One line of ``/proc/PID/stat``, as far as it is needed here."""

    pid: int
    state: str
    parent: int
    session: int
    cpu: float
    """CPU seconds, those of its children that were waited for included."""
    started: int
    """Clock ticks since boot: with the pid, the identity of a process."""

    @property
    def gone(self) -> bool:
        return self.state in "ZX"

    @property
    def stopped(self) -> bool:
        return self.state in "Tt"


def process(pid: int) -> Process | None:
    """The process of that id; None when there is none."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:  # noqa: PTH123 - pathlib is slow to import
            line = file.read()
    except OSError:
        return None
    # The program's name stands in parentheses and may itself hold spaces and parentheses.
    state, *fields = line[line.rindex(b")") + 2 :].split()
    return Process(
        pid, state.decode(), int(fields[0]), int(fields[2]), sum(map(int, fields[10:14])) / TICKS, int(fields[18])
    )


def processes() -> dict[int, Process]:
    """Every process that this one can see."""
    found = (process(int(name)) for name in os.listdir("/proc") if name.isdigit())  # noqa: PTH208
    return {one.pid: one for one in found if one}


def descendants(table: Mapping[int, Process], roots: Collection[int]) -> set[int]:
    """``roots`` as far as they exist, and everything below them."""
    children: dict[int, list[int]] = {}
    for one in table.values():
        children.setdefault(one.parent, []).append(one.pid)
    found: set[int] = set()
    queue = [pid for pid in roots if pid in table]
    while queue:
        pid = queue.pop()
        if pid not in found:
            found.add(pid)
            queue += children.get(pid, ())
    return found


def environment(pid: int, variable: str) -> str | None:
    """What ``variable`` was when the program of ``pid`` started; None when it was not set or may not be read."""
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:  # noqa: PTH123
            entries = file.read().split(b"\0")
    except OSError:
        return None
    start = variable.encode() + b"="
    for entry in entries:
        if entry.startswith(start):
            return os.fsdecode(entry[len(start) :])
    return None


def send(pid: int, number: int) -> bool:
    """Send a signal; False when the process is gone or not ours."""
    try:
        os.kill(pid, number)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def freeze(find: Callable[[], set[int]]) -> set[int]:
    """Stop all that ``find`` finds, again and again until it finds nothing new: what is stopped cannot fork."""
    frozen: set[int] = set()
    while new := find() - frozen:
        for pid in new:
            send(pid, signal.SIGSTOP)
        frozen |= new
    return frozen


# Shared memory


def mapped_files(pids: Iterable[int]) -> set[str]:
    """POSIX shared memory that these processes have mapped."""
    found = set()
    for pid in pids:
        try:
            with open(f"/proc/{pid}/maps", errors="surrogateescape") as file:  # noqa: PTH123
                for line in file:
                    at = line.find(_SHARED_MEMORY)
                    if at >= 0 and "/" not in line[at + len(_SHARED_MEMORY) :]:
                        found.add(line[at:].rstrip("\n").removesuffix(" (deleted)"))
        except OSError:
            continue
    return found


def remove_mapped(files: Iterable[str], *, since: float) -> list[str]:
    """Delete shared memory that was made after ``since`` (wall clock) and that no process has mapped any more."""
    candidates = set()
    for file in files:
        try:
            status = os.lstat(file)
        except OSError:
            continue
        if stat.S_ISREG(status.st_mode) and status.st_ctime >= since - 1:
            candidates.add(file)
    if candidates:
        candidates -= mapped_files(int(name) for name in os.listdir("/proc") if name.isdigit())  # noqa: PTH208
    removed = []
    for file in sorted(candidates):
        try:
            os.unlink(file)  # noqa: PTH108
        except OSError:
            continue
        removed.append(file)
    return removed


class Segment(NamedTuple):
    """One SysV shared memory segment."""

    id: int
    creator: int
    bytes: int
    changed: int
    """Wall clock, seconds: when it was made, unless its owner was changed since."""


def segments() -> list[Segment]:
    """Every SysV shared memory segment of this machine."""
    try:
        with open("/proc/sysvipc/shm") as file:  # noqa: PTH123
            header, *rows = (line.split() for line in file)
    except (OSError, ValueError):
        return []
    column = {name: i for i, name in enumerate(header)}
    wanted = [column[name] for name in ("shmid", "cpid", "size", "ctime")]
    return [Segment(*(int(row[i]) for i in wanted)) for row in rows]


def segments_of(lives: Mapping[int, tuple[float, float]]) -> list[Segment]:
    """Segments made by these process ids, each within its lifetime (wall clock) and with its maker gone now.

    The times matter: a process id may belong to somebody else before and after.
    """
    found = []
    for segment in segments():
        life = lives.get(segment.creator)
        if not life or not life[0] - 2 <= segment.changed <= life[1] + 2:
            continue
        maker = process(segment.creator)
        if maker is None or maker.gone:
            found.append(segment)
    return found


def remove_segment(segment: Segment) -> bool:
    """Remove a SysV segment; False when it is gone or not ours."""
    return bool(ctypes.CDLL(None).shmctl(segment.id, _IPC_RMID, None) == 0)
