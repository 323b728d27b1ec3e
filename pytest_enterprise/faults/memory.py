"""A server that gets little memory, down to being killed for it."""

from __future__ import annotations

import contextlib
import signal as signals
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from pytest_enterprise.errors import FaultFailed
from pytest_enterprise.faults.base import positive
from pytest_enterprise.faults.limits import LimitFault

if TYPE_CHECKING:
    from pytest_enterprise.runtimes.cgroup import Group

_HOG = """
import sys
print(flush=True)
if sys.stdin.readline() == "go\\n":
    held = [b"x" * (1 << 20) for _ in range(int(sys.argv[1]))]
"""
"""Takes so many MiB, unless whoever started it is gone before it says so."""
_PATIENCE = 30.0
"""Seconds for that."""


@dataclass(frozen=True, kw_only=True)
class Memory(LimitFault):
    """Lets each instance have ``more`` bytes beyond what it holds (at least 1 MiB); then the kernel ends it.

    With ``press`` a process inside the limit takes all that is left, so that this happens at once. An instance that was
    ended is started again when the fault ends. Acted when the kernel refused memory.
    """

    kind: ClassVar[str] = "memory"
    controller: ClassVar[str] = "memory"
    counters: ClassVar[tuple[str, ...]] = ("refused", "oom_kills")

    more: int = 0
    press: bool = False

    def __post_init__(self) -> None:
        positive(self.kind, "more", self.more, limit=1 << 50, unit="bytes", zero=True)

    def apply(self, group: Group) -> None:
        limit = max(1 << 20, group.used() + int(self.more))
        group.set(memory=limit)
        if self.press:
            _press(group, limit)


def _press(group: Group, limit: int) -> None:
    """Let somebody take a little more than the group's limit. Raises FaultFailed when the kernel lets it."""
    adjusted = _first_to_go(group.processes())
    command = (sys.executable, "-I", "-c", _HOG, str((limit >> 20) + 1))
    hog = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert hog.stdin
    assert hog.stdout
    with hog.stdin, hog.stdout:
        try:
            hog.stdout.readline()
            group.take(lambda: [hog.pid])
            if hog.pid not in group.processes():
                raise FaultFailed("memory: the control group does not take who is to press, and outside it none may")
            hog.stdin.write(b"go\n")
            hog.stdin.flush()
            status = hog.wait(_PATIENCE)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise FaultFailed(f"memory: nobody could press the instance: {error!r}") from error
        finally:
            hog.kill()
            hog.wait()
            for path, before in adjusted.items():
                with contextlib.suppress(OSError):
                    path.write_text(before)
    if status != -signals.SIGKILL:
        raise FaultFailed(f"memory: what was to press ended with {status}, not by the kernel")


def _first_to_go(pids: Iterable[int]) -> dict[Path, str]:
    """Let the kernel choose these before others of their group; what it takes to undo that."""
    adjusted = {}
    for pid in pids:
        path = Path(f"/proc/{pid}/oom_score_adj")
        with contextlib.suppress(OSError):
            before = path.read_text()
            path.write_text("1000")
            adjusted[path] = before
    return adjusted
