"""A link that delivers in small pieces."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from pytest_enterprise.faults.base import Proof, positive
from pytest_enterprise.faults.link import Direction, ToxicFault


@dataclass(frozen=True, kw_only=True)
class Slicer(ToxicFault):
    """Cuts each chunk into pieces of about ``size`` bytes that follow each other after ``gap`` seconds."""

    kind: ClassVar[str] = "slicer"
    toxic: ClassVar[str] = "slicer"
    proof: ClassVar[Proof] = "acted"

    size: int
    gap: float = 0.0
    direction: Direction = "downstream"

    def __post_init__(self) -> None:
        super().__post_init__()
        positive(self.kind, "size", self.size, limit=1_000_000, unit="bytes")
        positive(self.kind, "gap", self.gap, limit=60, unit="seconds", zero=True)

    def attributes(self) -> dict[str, Any]:
        return {"average_size": int(self.size), "size_variation": int(self.size) // 2, "delay": round(self.gap * 1e6)}
