"""What a runtime is: it places, starts, disturbs and removes instances of engines."""

from __future__ import annotations

import itertools
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from pytest_enterprise.engines.base import Address, Engine, Launch, Site
from pytest_enterprise.errors import cannot_write

if TYPE_CHECKING:
    from pytest_enterprise.run import Run


@dataclass(frozen=True, kw_only=True)
class Placement:
    """The addresses and directories a runtime reserved for one instance, before anything starts."""

    bind: str
    listen: Mapping[str, int]
    host: Mapping[str, Address]
    network: Mapping[str, Address]
    config: Path
    data: Path
    config_inside: Path
    data_inside: Path


def make_home(run: Run, instance: str) -> Path:
    """Make an instance's directories in the run directory; for another stack's instance of that name, others.

    Raises ConfigurationError when there is no room or no right to.
    """
    for number in itertools.count(1):
        home = run.engines / (instance if number == 1 else f"{instance}.{number}")
        try:
            home.mkdir(parents=True)
            (home / "config").mkdir()
            (home / "data").mkdir()
        except FileExistsError:
            continue
        except OSError as error:
            raise cannot_write(home, error) from error
        return home
    raise AssertionError("unreachable: itertools.count does not end")


class Instance(ABC):
    """A started instance. Signals reach the whole of it: every process it has made."""

    name: str

    @abstractmethod
    async def kill(self, signal: str = "SIGKILL") -> None:
        """Send a signal; returns when SIGKILL or SIGTERM has ended it, at once for other signals."""

    @abstractmethod
    async def pause(self) -> None:
        """Stop all its processes (SIGSTOP, the cgroup freezer); returns when they have really stopped."""

    @abstractmethod
    async def resume(self) -> None:
        """Let them go on. Does nothing when not paused."""

    async def disconnect(self) -> Mapping[str, object] | None:
        """Take it off its network and return what :meth:`reconnect` needs; None when it has none of its own."""
        return None

    async def reconnect(self, endpoint: Mapping[str, object]) -> None:
        """Put it back on its network, at the address that it had."""

    @abstractmethod
    async def stop(self, timeout: float | None = None) -> None:
        """End it in good order, by force after ``timeout`` seconds. Does nothing when it is gone."""

    @abstractmethod
    async def restart(self) -> None:
        """Start the same launch again at the same place, data kept, after it was killed or stopped."""

    @abstractmethod
    async def alive(self) -> bool:
        """True while its main process runs, paused or not."""

    @abstractmethod
    async def paused(self) -> bool:
        """True when its main process is really stopped, as the kernel or the engine tells."""

    @abstractmethod
    def exit_status(self) -> str | None:
        """How it ended ("exit code 1", "signal 9 (SIGKILL)"); None while it runs."""

    @abstractmethod
    def log(self, lines: int = 20) -> Sequence[str]:
        """The last lines that it wrote."""

    @property
    @abstractmethod
    def command_line(self) -> str:
        """The command as one could type it, for errors and reports."""

    @property
    def image(self) -> str:
        """The image that it runs in; empty where it runs in none."""
        return ""

    @property
    def main_pid(self) -> int | None:
        """Its main process, by this machine's number, where its processes are this machine's; None elsewhere."""
        return None

    @abstractmethod
    async def pids(self) -> list[int]:
        """All its processes, by the numbers that this machine gives them."""

    @abstractmethod
    async def cpu_seconds(self) -> float:
        """CPU time used so far by it and its children."""


class Runtime(ABC):
    """One per run and kind of runtime. ``open`` before the first ``place``; ``close`` leaves nothing behind."""

    name: ClassVar[str]

    def __init__(self, run: Run) -> None:
        self.run = run

    @abstractmethod
    async def open(self) -> None:
        """Start what it needs itself (the supervisor, the network)."""

    @abstractmethod
    def place(self, engine: Engine, instance: str) -> Placement:
        """Reserve addresses and directories for one instance."""

    @abstractmethod
    async def start(self, engine: Engine, site: Site, launch: Launch) -> Instance:
        """Start it; returns when the program was started, ready or not. Raises EngineMissing, EngineFailed."""

    @abstractmethod
    async def close(self) -> None:
        """End everything it started and remove what it made, except logs and data in the run directory."""
