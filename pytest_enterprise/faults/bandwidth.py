"""A narrow link."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from pytest_enterprise.faults.base import Proof, positive
from pytest_enterprise.faults.link import ToxicFault


@dataclass(frozen=True, kw_only=True)
class Bandwidth(ToxicFault):
    """Lets ``rate`` kilobytes (1,000 bytes) per second through each connection and direction."""

    kind: ClassVar[str] = "bandwidth"
    toxic: ClassVar[str] = "bandwidth"
    proof: ClassVar[Proof] = "acted"

    rate: float

    def __post_init__(self) -> None:
        super().__post_init__()
        positive(self.kind, "rate", self.rate, limit=10_000_000, unit="kB/s")

    def attributes(self) -> dict[str, Any]:
        return {"rate": max(1, round(self.rate))}
