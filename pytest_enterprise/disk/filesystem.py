"""The file system: everything is passed on to a directory, but for what the faults that are on say."""

from __future__ import annotations

import errno
import os
import random
import re
import time
from collections import Counter
from dataclasses import dataclass
from typing import Any

from mfusepy import FuseOSError, Operations, fuse_get_context

from pytest_enterprise.disk.journal import Journal


@dataclass
class Faults:
    """What is wrong with the disk now."""

    full: bool = False
    """No file can grow and none be made."""
    read_only: bool = False
    """Nothing can be changed."""
    delay: float = 0.0
    """Seconds by which each read, write and sync is late."""
    error_share: float = 0.0
    """The share of reads, writes and syncs that fail."""
    error_pattern: str = ""
    """A regular expression for the files whose operations may fail."""


class Disk(Operations):  # type: ignore[misc]
    """One directory behind, one journal, and the faults of the moment."""

    use_ns = True

    def __init__(self, backing: str, journal: Journal, seed: int) -> None:
        self.faults = Faults()
        self.counters: Counter[str] = Counter()
        self._backing = backing
        self._journal = journal
        self._random = random.Random(seed)

    def _path(self, path: str) -> str:
        return self._backing + path if path != "/" else self._backing

    # Faults.

    def _changes(self, *, grows: bool) -> None:
        if self.faults.read_only:
            self.counters["refused"] += 1
            raise FuseOSError(errno.EROFS)
        if grows and self.faults.full:
            self.counters["refused"] += 1
            raise FuseOSError(errno.ENOSPC)

    def _works(self, path: str) -> None:
        """For reads, writes and syncs."""
        faults = self.faults
        if faults.delay:
            self.counters["delayed"] += 1
            time.sleep(faults.delay)
        may_fail = faults.error_share and re.search(faults.error_pattern, path)
        if may_fail and self._random.random() < faults.error_share:
            self.counters["errors"] += 1
            raise FuseOSError(errno.EIO)

    def _made(self, real: str) -> None:
        """Something new belongs to who made it, as everywhere, and not to this program."""
        user, group, _ = fuse_get_context()
        if os.geteuid() == 0 and user:
            os.chown(real, user, group, follow_symlinks=False)
        self._journal.created(real)

    # Looking.

    def getattr(self, path: str, fh: int | None = None) -> dict[str, Any]:
        found = os.fstat(fh) if fh is not None else os.lstat(self._path(path))
        names = ("st_mode", "st_ino", "st_dev", "st_nlink", "st_uid", "st_gid", "st_size", "st_blocks", "st_blksize")
        times = {f"st_{name}time": getattr(found, f"st_{name}time_ns") for name in "acm"}
        return {**{name: getattr(found, name) for name in names}, **times}

    def access(self, path: str, amode: int) -> int:
        if not os.access(self._path(path), amode):
            raise FuseOSError(errno.EACCES)
        return 0

    def readdir(self, path: str, fh: int) -> Any:  # noqa: ARG002
        return [".", "..", *os.listdir(self._path(path))]

    def readlink(self, path: str) -> str:
        return os.readlink(self._path(path))

    def statfs(self, path: str) -> dict[str, int]:
        found = os.statvfs(self._path(path))
        names = (
            "f_bsize",
            "f_frsize",
            "f_blocks",
            "f_bfree",
            "f_bavail",
            "f_files",
            "f_ffree",
            "f_favail",
            "f_namemax",
        )
        told = {name: getattr(found, name) for name in names}
        if self.faults.full:
            told |= {"f_bfree": 0, "f_bavail": 0}
        return told

    # Contents.

    def create(self, path: str, mode: int, fi: Any = None) -> int:  # noqa: ARG002
        self._changes(grows=True)
        real = self._path(path)
        descriptor = os.open(real, os.O_RDWR | os.O_CREAT | os.O_EXCL, mode)
        self._made(real)
        return descriptor

    def open(self, path: str, flags: int) -> int:
        real = self._path(path)
        writes = flags & (os.O_WRONLY | os.O_RDWR)
        if writes:
            self._changes(grows=False)
        # Readable in any case: the journal looks at what is overwritten. Appending is the kernel's business.
        descriptor = os.open(real, os.O_RDWR if writes else os.O_RDONLY)
        if flags & os.O_TRUNC:
            self._journal.truncates(descriptor, 0)
            os.ftruncate(descriptor, 0)
        return descriptor

    def read(self, path: str, size: int, offset: int, fh: int) -> bytes:
        self._works(path)
        return os.pread(fh, size, offset)

    def write(self, path: str, data: bytes, offset: int, fh: int) -> int:
        self._changes(grows=offset + len(data) > os.fstat(fh).st_size)
        self._works(path)
        self._journal.overwrites(fh, offset, len(data))
        return os.pwrite(fh, data, offset)

    def truncate(self, path: str, length: int, fh: int | None = None) -> int:
        own = fh if fh is not None else os.open(self._path(path), os.O_RDWR)
        try:
            self._changes(grows=length > os.fstat(own).st_size)
            self._journal.truncates(own, length)
            os.ftruncate(own, length)
        finally:
            if fh is None:
                os.close(own)
        return 0

    def fallocate(self, path: str, mode: int, offset: int, size: int, fh: int) -> int:  # noqa: ARG002
        if mode:
            raise FuseOSError(errno.EOPNOTSUPP)
        end = offset + size
        self._changes(grows=end > os.fstat(fh).st_size)
        if end > os.fstat(fh).st_size:
            self._journal.truncates(fh, end)
            os.posix_fallocate(fh, offset, size)
        return 0

    def flush(self, path: str, fh: int) -> int:  # noqa: ARG002
        return 0

    def fsync(self, path: str, datasync: int, fh: int) -> int:  # noqa: ARG002
        self._works(path)
        self._journal.synced(fh)
        return 0

    def release(self, path: str, fh: int) -> int:  # noqa: ARG002
        os.close(fh)
        return 0

    # Names.

    def mkdir(self, path: str, mode: int) -> int:
        self._changes(grows=True)
        os.mkdir(self._path(path), mode)
        self._made(self._path(path))
        return 0

    def symlink(self, target: str, source: str) -> int:
        self._changes(grows=True)
        os.symlink(source, self._path(target))
        self._made(self._path(target))
        return 0

    def link(self, target: str, source: str) -> int:
        self._changes(grows=True)
        os.link(self._path(source), self._path(target))
        self._journal.created(self._path(target))
        return 0

    def unlink(self, path: str) -> int:
        self._changes(grows=False)
        self._journal.removes(self._path(path))
        return 0

    def rmdir(self, path: str) -> int:
        self._changes(grows=False)
        real = self._path(path)
        was = os.stat(real)
        os.rmdir(real)
        self._journal.removed_directory(real, was)
        return 0

    def rename(self, old: str, new: str) -> int:
        self._changes(grows=False)
        self._journal.renames(self._path(old), self._path(new))
        return 0

    def fsyncdir(self, path: str, datasync: int, fh: int) -> int:  # noqa: ARG002
        self._works(path)
        self._journal.synced_directory(self._path(path))
        return 0

    def chmod(self, path: str, mode: int) -> int:
        self._changes(grows=False)
        os.chmod(self._path(path), mode)
        return 0

    def chown(self, path: str, uid: int, gid: int) -> int:
        self._changes(grows=False)
        os.chown(self._path(path), uid, gid, follow_symlinks=False)
        return 0

    def utimens(self, path: str, times: tuple[int, int] | None = None) -> int:
        now = time.time_ns()
        os.utime(self._path(path), ns=times or (now, now), follow_symlinks=False)
        return 0
