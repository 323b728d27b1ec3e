"""A link that breaks off in the middle of a transfer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from pytest_enterprise.faults.base import Proof, positive
from pytest_enterprise.faults.link import Direction, ToxicFault


@dataclass(frozen=True, kw_only=True)
class Limit(ToxicFault):
    """Passes ``size`` bytes of each connection and direction, then closes the connection."""

    kind: ClassVar[str] = "limit"
    toxic: ClassVar[str] = "limit_data"
    proof: ClassVar[Proof] = "acted"

    size: int
    direction: Direction = "downstream"

    def __post_init__(self) -> None:
        super().__post_init__()
        positive(self.kind, "size", self.size, limit=1e12, unit="bytes", zero=True)

    def attributes(self) -> dict[str, Any]:
        return {"bytes": int(self.size)}

    def acted(self, facts: dict[str, float]) -> bool:
        return facts.get("dropped_bytes", 0) > 0
