"""A network that loses, delays, doubles and reorders packets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from pytest_enterprise.errors import ConfigurationError, FaultFailed
from pytest_enterprise.faults.base import Evidence, Proof, positive
from pytest_enterprise.faults.engine import EngineFault

if TYPE_CHECKING:
    from pytest_enterprise.faults.targets import Chooser
    from pytest_enterprise.live import LiveStack

_SHARES = ("loss", "duplicate", "reorder")
_DONE = ("lost", "delayed", "duplicated", "reordered")


@dataclass(frozen=True, kw_only=True)
class Packets(EngineFault):
    """Loses a share of the IP packets that each instance sends, delays, doubles or reorders them.

    ``delay`` and ``jitter`` are seconds, the rest are shares from 0 to 1. As with ``tc netem``, a packet that is
    reordered is one that is not delayed and so overtakes others; jitter alone lets packets overtake each other too.
    It stays on over a restart. The engine must be declared with ``packets=True``. Acted when the kernel or the
    forwarder counted packets to which it happened.
    """

    kind: ClassVar[str] = "packets"
    proof: ClassVar[Proof] = "acted"
    excludes: ClassVar[frozenset[str]] = frozenset({"packets"})

    loss: float = 0.0
    delay: float = 0.0
    jitter: float = 0.0
    duplicate: float = 0.0
    reorder: float = 0.0

    def __post_init__(self) -> None:
        for name in _SHARES:
            positive(self.kind, name, getattr(self, name), limit=1, unit="a share", zero=True)
        for name in ("delay", "jitter"):
            positive(self.kind, name, getattr(self, name), limit=60, unit="seconds", zero=True)
        if not (self.loss or self.delay or self.duplicate or self.reorder or self.jitter):
            raise ConfigurationError("packets: nothing is disturbed; give loss, delay, duplicate or reorder")
        if self.jitter > self.delay:
            raise ConfigurationError(
                f"packets: jitter={self.jitter!r} is more than delay={self.delay!r}; a packet cannot come before it "
                "was sent"
            )
        if self.reorder and not self.delay:
            raise ConfigurationError(
                f"packets: reorder={self.reorder!r} needs a delay: packets that are not delayed overtake those that are"
            )

    def resolve(self, choose: Chooser) -> list[str]:
        targets = super().resolve(choose)
        for name in targets:
            choose.stack.running.network(name)
        return targets

    def begin(self, choose: Chooser, targets: list[str]) -> list[str]:
        stack = choose.stack
        begun: list[str] = []
        try:
            for name in targets:
                stack.portal.call(stack.running.disturb(name, self.settings))
                begun.append(name)
        except BaseException:
            self.end(stack, targets, begun)
            raise
        return begun

    def end(self, stack: LiveStack, targets: list[str], state: list[str]) -> Evidence:  # noqa: ARG002
        facts: dict[str, Any] = {}
        failed: FaultFailed | None = None
        for name in state:
            try:
                told = stack.running.network(name).ask("end")
            except FaultFailed as error:
                failed = error
                continue
            for what, count in told.items():
                facts[what] = facts.get(what, 0) + count if isinstance(count, int) else count
        if failed:
            raise failed
        return Evidence(any(facts.get(what) for what in _DONE), facts)
