"""A link that changes what it carries."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from pytest_enterprise.faults.base import Proof, positive
from pytest_enterprise.faults.link import Direction, ToxicFault


@dataclass(frozen=True, kw_only=True)
class Corruption(ToxicFault):
    """Flips ``bits`` bits in each chunk that it hits, with ``probability``."""

    kind: ClassVar[str] = "corruption"
    toxic: ClassVar[str] = "corruption"
    proof: ClassVar[Proof] = "acted"

    probability: float = 1.0
    bits: int = 1
    direction: Direction = "downstream"

    def __post_init__(self) -> None:
        super().__post_init__()
        positive(self.kind, "probability", self.probability, limit=1, unit="a share")
        positive(self.kind, "bits", self.bits, limit=1_000_000, unit="bits")

    def attributes(self) -> dict[str, Any]:
        return {"probability": self.probability, "bits": int(self.bits)}

    def acted(self, facts: dict[str, float]) -> bool:
        return facts.get("corrupted_chunks", 0) > 0
