"""Guards: what must not happen while faults are on, to this machine most of all."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable
from pathlib import Path

_EVERY = 0.25
"""Seconds between two looks."""
_LEAST = 64 << 20
"""Bytes that must stay free where the run directory is."""


class Guards:
    """Asks every check in a thread of its own, from the first fault on; tells the first breach, once."""

    def __init__(self, directory: Path, breached: Callable[[str, str], None]) -> None:
        self._directory = directory
        self._breached = breached
        self._over = threading.Event()
        self._thread: threading.Thread | None = None
        self.checks: dict[str, Callable[[], str | None]] = {"disk": self._disk}

    def _disk(self) -> str | None:
        free = shutil.disk_usage(self._directory).free
        if free >= _LEAST:
            return None
        return f"{free >> 20} MB are free where {self._directory} is, and {_LEAST >> 20} MB must be"

    def watch(self) -> None:
        """Begin, if it has not begun."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._watch, name="guards", daemon=True)
            self._thread.start()

    def _watch(self) -> None:
        while not self._over.wait(_EVERY):
            for name, check in tuple(self.checks.items()):
                try:
                    reason = check()
                except Exception as error:  # a guard that cannot tell is no guard
                    reason = f"its check raised {type(error).__name__}: {error}"
                if reason:
                    self._breached(name, reason)
                    return

    def close(self) -> None:
        """End; returns when no check runs any more."""
        self._over.set()
        if self._thread and self._thread is not threading.current_thread():
            self._thread.join()
