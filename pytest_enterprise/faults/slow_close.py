"""A link that hangs up late."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from pytest_enterprise.faults.base import Proof, positive
from pytest_enterprise.faults.link import ToxicFault


@dataclass(frozen=True, kw_only=True)
class SlowClose(ToxicFault):
    """Delays the end of each connection by ``delay`` seconds; data pass at once."""

    kind: ClassVar[str] = "slow_close"
    toxic: ClassVar[str] = "slow_close"
    proof: ClassVar[Proof] = "acted"

    delay: float

    def __post_init__(self) -> None:
        super().__post_init__()
        positive(self.kind, "delay", self.delay, limit=600, unit="seconds")

    def attributes(self) -> dict[str, Any]:
        return {"delay": round(self.delay * 1000)}

    def acted(self, facts: dict[str, float]) -> bool:
        return facts.get("delayed_ms", 0) > 0
