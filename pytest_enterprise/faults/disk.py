"""What may be wrong with the disk under an engine: full, read-only, slow, failing."""

from __future__ import annotations

import re
from abc import abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from pytest_enterprise.errors import ConfigurationError
from pytest_enterprise.faults.base import Evidence, Proof, positive
from pytest_enterprise.faults.engine import EngineFault

if TYPE_CHECKING:
    from pytest_enterprise.faults.targets import Chooser
    from pytest_enterprise.live import LiveStack


@dataclass(frozen=True, kw_only=True)
class DiskFault(EngineFault):
    """A fault of the disk of each instance; its engine must be declared with ``disk=True``."""

    proof: ClassVar[Proof] = "acted"
    excludes: ClassVar[frozenset[str]] = frozenset({"power_failure"})
    counter: ClassVar[str]
    """What the disk counts when the fault acts."""

    def resolve(self, choose: Chooser) -> list[str]:
        targets = super().resolve(choose)
        for name in targets:
            choose.stack.running.disk(name)
        return targets

    @abstractmethod
    def broken(self) -> dict[str, Any]:
        """The disk's settings while the fault is on."""

    @abstractmethod
    def well(self) -> dict[str, Any]:
        """The same settings without it."""

    def begin(self, choose: Chooser, targets: list[str]) -> dict[str, int]:
        before = {}
        for name in targets:
            disk = choose.stack.running.disk(name)
            before[name] = int(disk.ask("counters").get(self.counter, 0))
            disk.ask("set", **self.broken())
        return before

    def end(self, stack: LiveStack, targets: list[str], state: dict[str, int]) -> Evidence:
        acted = 0
        for name in targets:
            disk = stack.running.disk(name)
            disk.ask("set", **self.well())
            acted += int(disk.ask("counters").get(self.counter, 0)) - state[name]
        back = {}
        for name in targets:  # some servers give up when their disk does
            if not stack.portal.call(stack.running.instance(name).alive()):
                back[name] = round(stack.portal.call(stack.running.restart(name)), 3)
        return Evidence(acted > 0, {self.counter: acted, **({"ready_after_s": back} if back else {})})


@dataclass(frozen=True, kw_only=True)
class DiskFull(DiskFault):
    """No file can grow and none be made: "no space left on device"."""

    kind: ClassVar[str] = "disk_full"
    counter: ClassVar[str] = "refused"

    def broken(self) -> dict[str, Any]:
        return {"full": True}

    def well(self) -> dict[str, Any]:
        return {"full": False}


@dataclass(frozen=True, kw_only=True)
class DiskReadOnly(DiskFault):
    """Nothing can be changed, as when the kernel has remounted a failing disk."""

    kind: ClassVar[str] = "disk_read_only"
    counter: ClassVar[str] = "refused"

    def broken(self) -> dict[str, Any]:
        return {"read_only": True}

    def well(self) -> dict[str, Any]:
        return {"read_only": False}


@dataclass(frozen=True, kw_only=True)
class DiskSlow(DiskFault):
    """Each read, write and sync takes ``delay`` seconds longer, one after the other."""

    kind: ClassVar[str] = "disk_slow"
    counter: ClassVar[str] = "delayed"

    delay: float

    def __post_init__(self) -> None:
        positive(self.kind, "delay", self.delay, limit=60, unit="seconds")

    def broken(self) -> dict[str, Any]:
        return {"delay": self.delay}

    def well(self) -> dict[str, Any]:
        return {"delay": 0.0}


@dataclass(frozen=True, kw_only=True)
class DiskErrors(DiskFault):
    """A ``share`` of reads, writes and syncs of files fails with an I/O error; ``path`` is a regular expression."""

    kind: ClassVar[str] = "disk_errors"
    counter: ClassVar[str] = "errors"

    share: float = 1.0
    path: str = ""

    def __post_init__(self) -> None:
        positive(self.kind, "share", self.share, limit=1, unit="a share")
        try:
            re.compile(self.path)
        except re.error as error:
            raise ConfigurationError(f"disk_errors: path={self.path!r} is no regular expression: {error}") from None

    def broken(self) -> dict[str, Any]:
        return {"error_share": self.share, "error_pattern": self.path}

    def well(self) -> dict[str, Any]:
        return {"error_share": 0.0, "error_pattern": ""}
