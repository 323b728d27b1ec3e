"""Latency with jitter on a link."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from pytest_enterprise.errors import ConfigurationError
from pytest_enterprise.faults.base import Proof, positive
from pytest_enterprise.faults.link import Direction, ToxicFault


@dataclass(frozen=True, kw_only=True)
class Latency(ToxicFault):
    """Delays each chunk by ``delay`` seconds plus or minus ``jitter``, order kept.

    By default it delays what the server answers, so that one round trip takes ``delay`` longer.
    """

    kind: ClassVar[str] = "latency"
    toxic: ClassVar[str] = "latency"
    proof: ClassVar[Proof] = "acted"

    delay: float
    jitter: float = 0.0
    direction: Direction = "downstream"

    def __post_init__(self) -> None:
        super().__post_init__()
        positive(self.kind, "delay", self.delay, limit=600, unit="seconds")
        positive(self.kind, "jitter", self.jitter, limit=600, unit="seconds", zero=True)
        if self.jitter > self.delay:
            raise ConfigurationError(
                f"latency: jitter={self.jitter!r} is more than delay={self.delay!r}; nothing arrives before it was sent"
            )

    def attributes(self) -> dict[str, Any]:
        return {"latency": self.delay * 1000, "jitter": self.jitter * 1000}
