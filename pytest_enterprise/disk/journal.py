"""What a power failure takes away: everything that was written and not yet synced.

Before a file changes, what it held is noted; a sync forgets the notes; losing power plays them back. So the directory
behind always holds what programs see while they run, and afterwards what a disk would have kept: contents from the last
fsync of the file, names from the last fsync of their directory, or of the file that was created there.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

_Key = tuple[int, int]


class Lost(NamedTuple):
    """What a power failure took: bytes of contents, and changes of names."""

    bytes: int
    names: int


class _Overwritten(NamedTuple):
    offset: int
    before: bytes
    size: int
    """Of the file, before."""
    length: int
    """Of what was written."""


@dataclass
class _Name:
    """A change of names in one or two directories, and how it is undone."""

    directories: set[str]
    undo: Callable[[], None]
    created: _Key | None = None
    """The file that it created: syncing that file keeps its name too."""
    kept: Path | None = None
    """What is gone from view and must be kept until then."""


@dataclass
class _Contents:
    """A file with contents that are not synced, held open so that no change of its name matters."""

    descriptor: int
    overwritten: list[_Overwritten] = field(default_factory=list)


def _key(descriptor: int) -> _Key:
    status = os.fstat(descriptor)
    return status.st_dev, status.st_ino


class Journal:
    """Notes of one disk. ``store`` is a directory beside it, on the same file system."""

    def __init__(self, store: Path) -> None:
        self._store = store
        self._number = 0
        self._contents: dict[_Key, _Contents] = {}
        self._names: list[_Name] = []

    # Before contents change.

    def overwrites(self, descriptor: int, offset: int, length: int) -> None:
        """``length`` bytes are about to be written; ``descriptor`` must be readable."""
        size = os.fstat(descriptor).st_size
        before = os.pread(descriptor, min(length, max(0, size - offset)), offset) if offset < size else b""
        self._note(descriptor, _Overwritten(offset, before, size, length))

    def truncates(self, descriptor: int, length: int) -> None:
        """The file is about to be ``length`` bytes long."""
        size = os.fstat(descriptor).st_size
        before = os.pread(descriptor, size - length, length) if length < size else b""
        self._note(descriptor, _Overwritten(length, before, size, 0))

    def _note(self, descriptor: int, what: _Overwritten) -> None:
        key = _key(descriptor)
        if key not in self._contents:
            own = os.open(f"/proc/self/fd/{descriptor}", os.O_RDWR)
            self._contents[key] = _Contents(own)
        self._contents[key].overwritten.append(what)

    # Around changes of names.

    def created(self, path: str) -> None:
        """A file, a link or a directory is new at ``path``."""
        status = os.lstat(path)

        def undo() -> None:
            shutil.rmtree(path) if os.path.isdir(path) and not os.path.islink(path) else os.unlink(path)

        self._names.append(_Name({os.path.dirname(path)}, undo, (status.st_dev, status.st_ino)))

    def removes(self, path: str) -> Path:
        """Take the file at ``path`` out of view; the caller removes nothing itself."""
        kept = self._keep(path)
        self._names.append(_Name({os.path.dirname(path)}, lambda: os.rename(kept, path), None, kept))
        return kept

    def removed_directory(self, path: str, was: os.stat_result) -> None:
        """An empty directory is gone."""

        def make() -> None:
            os.mkdir(path, stat.S_IMODE(was.st_mode))
            os.chown(path, was.st_uid, was.st_gid)

        self._names.append(_Name({os.path.dirname(path)}, make))

    def renames(self, old: str, new: str) -> None:
        """Rename, keeping what stood at ``new``."""
        kept = self._keep(new) if os.path.lexists(new) and not os.path.isdir(new) else None
        os.rename(old, new)

        def undo() -> None:
            os.rename(new, old)
            if kept:
                os.rename(kept, new)

        self._names.append(_Name({os.path.dirname(old), os.path.dirname(new)}, undo, None, kept))

    def _keep(self, path: str) -> Path:
        self._number += 1
        kept = self._store / str(self._number)
        os.rename(path, kept)
        return kept

    # What is safe, and what is not.

    def synced(self, descriptor: int) -> None:
        """The file's contents are safe, and the name under which it was created."""
        key = _key(descriptor)
        self._forget(key)
        self._settle([name for name in self._names if name.created == key])

    def synced_directory(self, path: str) -> None:
        """The names in a directory are safe."""
        self._settle([name for name in self._names if path in name.directories])

    def settle(self) -> None:
        """Everything so far is safe."""
        for key in list(self._contents):
            self._forget(key)
        self._settle(list(self._names))

    def _forget(self, key: _Key) -> None:
        contents = self._contents.pop(key, None)
        if contents:
            os.close(contents.descriptor)

    def _settle(self, safe: list[_Name]) -> None:
        for name in safe:
            self._names.remove(name)
            if name.kept:
                with contextlib.suppress(OSError):
                    name.kept.unlink()

    def lose(self) -> Lost:
        """Power fails: undo all that is not safe. No program may have the files open."""
        lost = 0
        for key, contents in list(self._contents.items()):
            for offset, before, size, length in reversed(contents.overwritten):
                lost += max(length, len(before))
                if before:
                    os.pwrite(contents.descriptor, before, offset)
                os.ftruncate(contents.descriptor, size)
            self._forget(key)
        names = len(self._names)
        for name in reversed(self._names):
            with contextlib.suppress(OSError):  # a directory that is undone takes with it what was in it
                name.undo()
        self._names.clear()
        return Lost(lost, names)
