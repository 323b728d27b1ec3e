"""The clock of one instance: libfaketime, preloaded into its programs, and a file that says how far off it is.

The clock that only counts on (CLOCK_MONOTONIC) stays true, as it does when somebody sets a machine's clock.
"""

from __future__ import annotations

import ctypes
import functools
import importlib.util
import os
import shutil
import struct
import subprocess
from dataclasses import replace
from pathlib import Path

from pytest_enterprise.engines.base import Launch
from pytest_enterprise.engines.namespace import alone

_LIBRARY = "libfaketime.so.1"
_FILE = "clock"
_OPENED = 0x20
_EVENT = struct.Struct("iIII")

# libfaketime leaves shared memory behind whenever a program is killed: each gets a /dev/shm that goes with it.
_OWN_MEMORY = "mount -t tmpfs tmpfs /dev/shm"


def _library() -> Path | None:
    wheel = importlib.util.find_spec("libfaketime")
    if wheel is None or wheel.origin is None:
        return None
    return next(Path(wheel.origin).parent.glob(f"**/{_LIBRARY}"), None)


@functools.cache
def why_not() -> str | None:
    """Why no engine's clock can be set here, and the way out; None when it can."""
    library = _library()
    if library is None:
        return "clocks that can be set need libfaketime: pip install 'pytest-enterprise[clock]'"
    with library.open("rb") as ours, Path("/proc/self/exe").open("rb") as here:
        if ours.read(20)[18:] != here.read(20)[18:]:
            return f"clocks that can be set need libfaketime, and {library} was built for another kind of machine"
    if not shutil.which("/usr/bin/unshare"):
        return "clocks that can be set need /usr/bin/unshare (util-linux)"
    tried = subprocess.run(
        (*alone(_OWN_MEMORY, unprivileged=os.geteuid() != 0), "/bin/true"), capture_output=True, text=True, check=False
    )
    if tried.returncode:
        return f"clocks that can be set need a mount namespace, which this machine refuses: {tried.stderr.strip()}"
    return None


class Clock:
    """The clock of one instance, by the directory of its configuration."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def set(self, offset: float) -> None:
        """Let it be so many seconds ahead; behind when negative."""
        new = self._folder / f".{_FILE}"
        new.write_text(f"{offset:+.6f}\n", encoding="ascii")
        new.replace(self._folder / _FILE)

    def install(self, launch: Launch, inside: Path, *, own_memory: bool) -> Launch:
        """The launch with this clock; ``inside`` is the directory as the instance sees it.

        ``own_memory``: the instance has a /dev/shm of its own already, as a container has.
        """
        library = _library()
        assert library, "why_not() comes first"
        shutil.copyfile(library, self._folder / _LIBRARY)
        self.set(0)
        variables = {
            "LD_PRELOAD": inside / _LIBRARY,
            "FAKETIME_TIMESTAMP_FILE": inside / _FILE,
            "FAKETIME_NO_CACHE": 1,
            "FAKETIME_DONT_FAKE_MONOTONIC": 1,
        }
        settings = (f"{name}={value}" for name, value in variables.items())
        around = () if own_memory else alone(_OWN_MEMORY, unprivileged=launch.unprivileged)
        return replace(launch, command=(*around, "/usr/bin/env", *settings, *launch.command))

    def watch(self) -> Watch:
        """Notice, from now on, whether the instance looks at this clock."""
        return Watch(self._folder)


class Watch:
    """Whether a program has opened the file of a clock, as the kernel tells (inotify)."""

    def __init__(self, folder: Path) -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        self._descriptor = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        if self._descriptor < 0 or libc.inotify_add_watch(self._descriptor, os.fsencode(folder), _OPENED) < 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))

    def close(self) -> bool:
        """True when it was opened since the watch began."""
        try:
            seen = os.read(self._descriptor, 1 << 16)
        except BlockingIOError:
            return False
        finally:
            os.close(self._descriptor)
        while seen:
            *_, length = _EVENT.unpack_from(seen)
            name = seen[_EVENT.size : _EVENT.size + length].rstrip(b"\0")
            if name == _FILE.encode():
                return True
            seen = seen[_EVENT.size + length :]
        return False
