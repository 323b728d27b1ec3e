"""A link that loses parts of what it carries."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from pytest_enterprise.faults.base import Proof, positive
from pytest_enterprise.faults.link import ToxicFault


@dataclass(frozen=True, kw_only=True)
class Loss(ToxicFault):
    """Drops each chunk with ``probability``: a hole in the stream, which the receiver sees as nonsense.

    Lost packets are another matter: TCP repairs them, and they are felt as latency.
    """

    kind: ClassVar[str] = "loss"
    toxic: ClassVar[str] = "loss"
    proof: ClassVar[Proof] = "acted"

    probability: float

    def __post_init__(self) -> None:
        super().__post_init__()
        positive(self.kind, "probability", self.probability, limit=1, unit="a share")

    def attributes(self) -> dict[str, Any]:
        return {"probability": self.probability}

    def acted(self, facts: dict[str, float]) -> bool:
        return facts.get("dropped_bytes", 0) > 0
