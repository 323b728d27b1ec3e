"""Mounted disks of ours, known by their names: found and unmounted after a crash without any record.

The name says who made it. The supervisor uses this too, so it imports little.
"""

from __future__ import annotations

import ctypes
import os
import secrets

from pytest_enterprise.runtimes import proctree

PREFIX = "pytest-enterprise-disk-"
_DETACH = 2


def new_name(runtime: str) -> str:
    """A name for a disk of this process, and of the runtime with this token."""
    owner = proctree.process(os.getpid())
    return f"{PREFIX}{os.getpid()}-{owner.started if owner else 0}-{runtime}-{secrets.token_hex(3)}"


def _mounted() -> list[tuple[str, str]]:
    """Name and mount point of every disk of ours, of whichever run."""
    with open("/proc/self/mounts", encoding="utf-8", errors="surrogateescape") as file:  # noqa: PTH123
        lines = [line.split(" ") for line in file]
    # Spaces and the like are written as octal numbers there.
    return [
        (name, path.encode("latin-1", "surrogateescape").decode("unicode_escape"))
        for name, path, *_ in lines
        if name.startswith(PREFIX)
    ]


def unmount(path: str) -> None:
    """Take it out of view at once, even when its program is gone."""
    ctypes.CDLL(None).umount2(os.fsencode(path), _DETACH)


def unmount_of(runtime: str) -> None:
    """Unmount every disk of the runtime with this token."""
    for name, path in _mounted():
        if f"-{runtime}-" in name:
            unmount(path)


def find_leftovers() -> list[tuple[str, str]]:
    """Names and mount points of disks whose makers are gone."""
    found = []
    for name, path in _mounted():
        parts = name.removeprefix(PREFIX).split("-")
        owner = proctree.process(int(parts[0])) if parts[0].isdecimal() else None
        if owner is None or str(owner.started) != parts[1]:
            found.append((name, path))
    return found


def remove_leftovers() -> list[str]:
    """Unmount what a crash left; a line for each."""
    done = []
    for _, path in find_leftovers():
        unmount(path)
        done.append(f"unmounted {path}")
    return done
