"""What an engine is: a real server that any runtime can start, and that answers for its own readiness."""

from __future__ import annotations

import os
import shutil
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, NamedTuple

from pytest_enterprise.errors import ConfigurationError


class Address(NamedTuple):
    """A TCP address."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


@dataclass(frozen=True, kw_only=True)
class Launch:
    """How one instance is started: data only, for any runtime."""

    command: Sequence[str]
    """Program and arguments. The first is a bare program name, resolved by :meth:`Engine.locate` or by the image."""
    env: Mapping[str, str] = field(default_factory=dict)
    """Environment beside the runtime's own minimal one (PATH, HOME, TMPDIR, LANG)."""
    setup: Sequence[Sequence[str]] = ()
    """Commands run to completion before it, in order, with the same environment and user (``initdb``)."""
    over: Mapping[str, Path] = field(default_factory=dict)
    """Files and directories of this machine that it sees in place of others, by the paths of these."""
    network: int = 0
    """A process of this machine whose network namespace it shares; 0: the machine's own. Processes only."""
    unprivileged: bool = False
    """Must not run as root (PostgreSQL): a runtime that is root itself gives it another user."""
    stop_signal: str = "SIGTERM"
    """The signal that asks it to stop in good order."""
    stop_timeout: float = 5.0
    """Seconds until a stop in good order becomes SIGKILL."""


@dataclass(frozen=True, kw_only=True)
class Site:
    """Where one instance lives, what it listens on and which addresses it dials; made by the stack."""

    name: str
    """The instance: ``postgres``, ``agent-service-2``."""
    index: int
    """1 for the first instance of its engine."""
    siblings: Sequence[str]
    """All instances of the engine, in order, this one included."""
    runtime: str
    """``process``, ``container`` or ``external``."""
    bind: str
    """The host to listen on: 127.0.0.1 for a process (with ``packets=True`` another address, of a network of its own),
    0.0.0.0 inside a container's network namespace."""
    listen: Mapping[str, int]
    """Port name to the number to listen on, as the instance sees it."""
    host: Mapping[str, Address]
    """Port name to the address that reaches it from this machine (readiness probes, tests). Published ports only."""
    network: Mapping[str, Mapping[str, Address]]
    """Instance name to port name to the address at which other instances reach it with no link between."""
    links: Mapping[str, Sequence[Address]]
    """Server engine to the addresses this instance must dial for it, one per server instance, in order."""
    instances: Mapping[str, Sequence[str]]
    """Server engine to the names of its instances, in the order of ``links``."""
    tunnel: Address | None
    """An HTTP CONNECT entry of the fault proxy for this instance's dials to its siblings, if it has one."""
    config: Path
    """Directory for configuration files, as this machine sees it; exists and is empty at the first start."""
    data: Path
    """Directory for data, as this machine sees it; exists and is empty at the first start."""
    config_inside: Path
    """``config`` as the instance sees it."""
    data_inside: Path
    """``data`` as the instance sees it."""
    routes: Mapping[tuple[str, str], Address] = field(default_factory=dict)
    """Every link of the stack between engines: client and server instance to the address that the client dials."""
    seed: int = 0
    """The run's seed."""

    def link(self, server: str, index: int = 0) -> Address:
        """The address to dial for ``server``."""
        try:
            return self.links[server][index]
        except (KeyError, IndexError):
            raise ConfigurationError(
                f"{self.name} has no link to {server!r}; it has links to {', '.join(self.links) or 'nothing'}. "
                f"Add Link({self.name!r}, {server!r}) to the stack."
            ) from None


@dataclass(frozen=True, kw_only=True)
class Engine(ABC):
    """A kind of real server. Subclasses are frozen data: settings only, no state of a run."""

    kind: ClassVar[str]
    """The word for it in reports and options: ``etcd``, ``postgres``."""
    default_image: ClassVar[str] = ""
    """The upstream image; a setting may replace it."""
    obtain: ClassVar[str] = "Put it on PATH."
    """One line: the command that gets the program where it is missing."""
    asks_kernel: ClassVar[bool] = False
    """Asks the kernel itself for the time (programs in Go do), so that its clock cannot be set."""

    name: str
    replicas: int = 1
    url: str | None = None
    """Where it already runs: the ``external`` runtime is used for it."""
    image: str | None = None
    start_timeout: float = 30.0
    """Seconds from start to ready."""
    labels: Mapping[str, str | Sequence[str]] = field(default_factory=dict)
    """Words to choose targets by: one value for all instances, or one for each, in order."""
    disk: bool = False
    """Its data lie on a disk whose faults can be played (``faults.disk_full``, ``faults.power_failure`` ...)."""
    names: bool = False
    """It dials its links by name (``postgres.test``), and what it is told of names can be wrong (``faults.dns``)."""
    clock: bool = False
    """Its clock can be set (``faults.clock``); Python's ``time.sleep`` and the like count on undisturbed."""
    packets: bool = False
    """It has a network of its own, whose packets can be lost, late, doubled and out of order (``faults.packets``)."""
    patient: bool = False
    """Starts beside the servers that it needs and waits for them itself, rather than after they are ready."""

    def __post_init__(self) -> None:
        if not self.name or not all(c.isalnum() or c in "-_." for c in self.name) or self.name == "load":
            raise ConfigurationError(
                f"engine name {self.name!r}: use letters, digits, '-', '_' and '.'; 'load' is taken by the tests' side"
            )
        for label, value in self.labels.items():
            if not isinstance(value, str) and len(value) != self.replicas:
                raise ConfigurationError(
                    f"{self.name}: label {label!r} has {len(value)} values for {self.replicas} instances; "
                    "give one for each, or one for all"
                )
        if self.clock and self.asks_kernel:
            raise ConfigurationError(
                f"{self.name}: clock=True, but {self.kind} asks the kernel itself for the time; set the clocks of "
                "those who use it instead"
            )
        if self.replicas < 1:
            raise ConfigurationError(f"{self.name}: replicas={self.replicas}, but an engine has at least 1 instance")
        if self.start_timeout <= 0:
            raise ConfigurationError(f"{self.name}: start_timeout={self.start_timeout}, but seconds must be positive")

    @property
    def instances(self) -> tuple[str, ...]:
        """Names of the instances: the engine's own when there is one, else numbered from 1."""
        return (self.name,) if self.replicas == 1 else tuple(f"{self.name}-{i + 1}" for i in range(self.replicas))

    @property
    @abstractmethod
    def ports(self) -> Mapping[str, int]:
        """Port names, the one that links mean by default first, to the number used inside a container."""

    @property
    def published(self) -> frozenset[str]:
        """Ports that this machine reaches (probes, tests); all, unless an engine says otherwise."""
        return frozenset(self.ports)

    def locate(self, program: str) -> Path | None:
        """The program on this machine: ``.engines/`` of the working directory or its parents, then PATH."""
        for root in (Path.cwd(), *Path.cwd().parents):
            for folder in ("usr/bin", "usr/sbin", "bin"):
                candidate = root / ".engines" / folder / program
                if candidate.is_file() and os.access(candidate, os.X_OK):
                    return candidate
        found = shutil.which(program)
        return Path(found) if found else None

    def version(self) -> str:
        """The version of the program on this machine, for reports; "unknown" where it does not tell."""
        return "unknown"

    @abstractmethod
    def launch(self, site: Site) -> Launch:
        """Write configuration into ``site.config`` and say how to start; called again for a restart."""

    @abstractmethod
    async def ready(self, site: Site) -> str | None:
        """Ask the server itself, once and quickly: None when it is ready, else what it said or why it could not."""

    def label(self, label: str, index: int) -> str | None:
        """The value of a label for the instance with this index, from 1; None when it has none."""
        value = self.labels.get(label)
        if value is None or isinstance(value, str):
            return value
        return value[index - 1] if index <= len(value) else None

    async def leader(self, sites: Sequence[Site]) -> str | None:
        """The instance that leads the others now, as they say; None while they elect one.

        Raises ConfigurationError for servers that have no leader.
        """
        if len(sites) == 1:
            return sites[0].name
        raise ConfigurationError(f"{self.name} has no leader: instances of {self.kind} are equal. Name one, or 'one'")

    def tunnel_target(self, instance: str) -> str | None:  # noqa: ARG002
        """The CONNECT target by which siblings dial ``instance`` through their tunnel; None: dialled directly."""
        return None

    def relink(self, site: Site) -> None:
        """Rewrite what depends on the stack's links, after an instance was added or removed."""
