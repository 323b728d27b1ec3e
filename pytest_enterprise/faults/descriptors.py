"""A server that can open no further file or connection."""

from __future__ import annotations

import contextlib
import resource
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from pytest_enterprise.errors import FaultFailed
from pytest_enterprise.faults.base import Evidence, Proof, positive
from pytest_enterprise.faults.engine import ENDING, EngineFault

if TYPE_CHECKING:
    from pytest_enterprise.faults.targets import Chooser
    from pytest_enterprise.live import LiveStack


class Limit(NamedTuple):
    """A process's limit before, soft and hard, and while the fault is on."""

    soft: int
    hard: int
    during: int


Limits = dict[int, Limit]


def _open(pid: int) -> int:
    """One above the highest descriptor that a process has open: the limit counts numbers, not files."""
    return max((int(path.name) for path in Path(f"/proc/{pid}/fd").iterdir()), default=0) + 1


@dataclass(frozen=True, kw_only=True)
class Descriptors(EngineFault):
    """Lets each process of each instance open ``more`` descriptors beyond those that it has; processes it has now.

    What the kernel refuses it does not count: that the limit was in force to the end is all that can be shown.
    """

    kind: ClassVar[str] = "descriptors"
    proof: ClassVar[Proof] = "exercised"
    excludes: ClassVar[frozenset[str]] = ENDING

    more: int = 0

    def __post_init__(self) -> None:
        positive(self.kind, "more", self.more, limit=1_000_000, unit="descriptors", zero=True)

    def begin(self, choose: Chooser, targets: list[str]) -> Limits:
        stack = choose.stack
        before: Limits = {}
        try:
            for name in targets:
                for pid in stack.portal.call(stack.running.instance(name).pids()):
                    soft, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
                    limit = min(_open(pid) + int(self.more), hard)
                    before[pid] = Limit(soft, hard, limit)
                    resource.prlimit(pid, resource.RLIMIT_NOFILE, (limit, hard))
        except (OSError, ValueError) as error:
            _restore(before)
            raise FaultFailed(f"descriptors: the limit of {self.target} cannot be changed: {error}") from None
        return before

    def end(self, stack: LiveStack, targets: list[str], state: Limits) -> Evidence:  # noqa: ARG002
        held = 0
        for pid, limit in state.items():
            with contextlib.suppress(OSError):
                held += resource.prlimit(pid, resource.RLIMIT_NOFILE)[0] == limit.during
        _restore(state)
        return Evidence(held > 0, {"processes": len(state), "limited_to_the_end": held})


def _restore(before: Limits) -> None:
    for pid, limit in before.items():
        with contextlib.suppress(ProcessLookupError):
            resource.prlimit(pid, resource.RLIMIT_NOFILE, (limit.soft, limit.hard))
