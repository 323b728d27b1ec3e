"""Free ports on 127.0.0.1 that two sessions on one machine never both take.

Ports come from below the kernel's ephemeral range, so that no outgoing connection sits on one, and each is held by a
file lock until the process ends.
"""

from __future__ import annotations

import fcntl
import os
import random
import socket
import tempfile
from pathlib import Path
from typing import IO

from pytest_enterprise.errors import EnterpriseError

_RANGE = range(15000, 32000)


class Ports:
    """Reserves ports for one run."""

    def __init__(self) -> None:
        self._locks: dict[int, IO[str]] = {}
        self._folder = Path(tempfile.gettempdir()) / f"pytest-enterprise-ports-{os.getuid()}"
        self._random = random.SystemRandom()

    def take(self) -> int:
        """A port that nobody listens on and no other run has taken."""
        self._folder.mkdir(exist_ok=True)
        for _ in range(1000):
            port = self._random.choice(_RANGE)
            if port in self._locks:
                continue
            lock = (self._folder / str(port)).open("w")
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                with socket.socket() as probe:
                    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                    probe.bind(("127.0.0.1", port))
            except OSError:
                lock.close()
                continue
            self._locks[port] = lock
            return port
        raise EnterpriseError(f"no free port on 127.0.0.1 in {_RANGE.start}-{_RANGE.stop - 1} after 1,000 tries")

    def release(self) -> None:
        """Give all ports back."""
        for port, lock in self._locks.items():
            (self._folder / str(port)).unlink(missing_ok=True)
            lock.close()
        self._locks.clear()
