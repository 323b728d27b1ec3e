"""The program: mounts, says that it is ready by its socket, and obeys what comes there.

Requests and answers are JSON, one a line: ``{"do": "set", "full": true}``, ``{"do": "counters"}``,
``{"do": "settle"}``, ``{"do": "lose"}``.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import threading
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

_BY_SIGNAL = 8
"""How libfuse says that a signal ended it, after it has unmounted."""


def _library() -> None:
    """Let mfusepy find libfuse below ``.engines/`` too, where no root was needed to put it."""
    for root in (Path.cwd(), *Path.cwd().parents):
        for found in root.glob(".engines/**/libfuse3.so.3"):
            os.environ.setdefault("FUSE_LIBRARY_PATH", str(found))
            return


class Control:
    """Answers on an abstract Unix socket, in a thread of its own."""

    def __init__(self, disk: Any, journal: Any, name: str) -> None:
        self._disk = disk
        self._journal = journal
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(f"\0{name}")  # not a file: nothing is left of it
        self._listener.listen()
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            connection, _ = self._listener.accept()
            with connection, connection.makefile("rw", encoding="utf-8") as lines:
                for line in lines:
                    lines.write(json.dumps(self._do(json.loads(line))) + "\n")
                    lines.flush()

    def _do(self, request: dict[str, Any]) -> dict[str, Any]:
        match request.pop("do"):
            case "set":
                self._disk.faults = replace(self._disk.faults, **request)
                return asdict(self._disk.faults)
            case "settle":
                self._journal.settle()
            case "lose":
                lost = self._journal.lose()
                return {"lost_bytes": lost.bytes, "lost_names": lost.names}
        return dict(self._disk.counters)


def main(arguments: list[str]) -> None:
    """Serve until the file system is unmounted or a signal comes."""
    backing, mountpoint, name, seed = arguments
    _library()
    from mfusepy import FUSE

    from pytest_enterprise.disk.filesystem import Disk
    from pytest_enterprise.disk.journal import Journal

    store = Path(f"{backing}.removed")
    store.mkdir(exist_ok=True)
    journal = Journal(store)
    disk = Disk(backing, journal, int(seed))
    Control(disk, journal, name)
    options = {"attr_timeout": 0, "entry_timeout": 0, "hard_remove": True, "allow_other": os.geteuid() == 0}
    # libfuse sets a handler of its own, which unmounts, only where there is none.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    try:
        FUSE(disk, mountpoint, foreground=True, nothreads=True, fsname=name, **options)
    except RuntimeError as error:
        if error.args != (_BY_SIGNAL,):
            raise


if __name__ == "__main__":
    main(sys.argv[1:])
