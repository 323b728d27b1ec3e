"""A server that dies as soon as it writes."""

from __future__ import annotations

import ctypes
import os
import select
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from pytest_enterprise.errors import FaultFailed
from pytest_enterprise.faults.base import Evidence, Proof
from pytest_enterprise.faults.engine import EngineFault

if TYPE_CHECKING:
    from pytest_enterprise.faults.targets import Chooser
    from pytest_enterprise.live import LiveStack

_IN_MODIFY, _IN_CREATE = 0x2, 0x100
_CLOEXEC = os.O_CLOEXEC


class Writes:
    """Tells the first write below a directory (inotify)."""

    def __init__(self, top: Path) -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        self._inotify = libc.inotify_init1(_CLOEXEC)
        for directory in (top, *(path for path in top.rglob("*") if path.is_dir() and not path.is_symlink())):
            if libc.inotify_add_watch(self._inotify, os.fsencode(directory), _IN_MODIFY | _IN_CREATE) < 0:
                code = ctypes.get_errno()
                os.close(self._inotify)
                raise FaultFailed(f"kill_on_write: cannot watch {directory}: {os.strerror(code)}")
        self.stopped, self._stop = os.pipe()

    def wait(self) -> bool:
        """True at the first write, False when it was stopped before."""
        ready, _, _ = select.select([self._inotify, self.stopped], [], [])
        return self._inotify in ready

    def close(self) -> None:
        for descriptor in (self._inotify, self.stopped, self._stop):
            os.close(descriptor)

    def stop(self) -> None:
        os.write(self._stop, b"x")


class _Trap:
    """One instance that is to be killed at its first write."""

    def __init__(self, stack: LiveStack, name: str) -> None:
        self._stack = stack
        self._name = name
        self.sprung: float | None = None
        self._writes = Writes(stack.running.site(name).data)
        self._thread = threading.Thread(target=self._watch, name=f"kill on write {name}", daemon=True)
        self._thread.start()

    def _watch(self) -> None:
        if self._writes.wait():
            self._stack.portal.call(self._stack.running.instance(self._name).kill())
            self.sprung = time.monotonic()

    def disarm(self) -> None:
        self._writes.stop()
        self._thread.join()
        self._writes.close()


@dataclass(frozen=True, kw_only=True)
class KillOnWrite(EngineFault):
    """Kills each instance as soon as something below its data directory is written; back when the fault ends."""

    kind: ClassVar[str] = "kill_on_write"
    proof: ClassVar[Proof] = "acted"

    def begin(self, choose: Chooser, targets: list[str]) -> dict[str, _Trap]:
        return {name: _Trap(choose.stack, name) for name in targets}

    def end(self, stack: LiveStack, targets: list[str], state: dict[str, _Trap]) -> Evidence:
        for trap in state.values():
            trap.disarm()
        killed = [name for name in targets if state[name].sprung is not None]
        for name in killed:
            stack.portal.call(stack.running.restart(name))
        return Evidence(bool(killed), {"killed": killed})
