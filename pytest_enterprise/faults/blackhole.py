"""A link that swallows everything in silence: no refusal, no reset, only waiting."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from pytest_enterprise.faults.base import Proof
from pytest_enterprise.faults.link import ToxicFault


@dataclass(frozen=True, kw_only=True)
class Blackhole(ToxicFault):
    """Drops all bytes of the direction; connections that lost some are closed when it ends."""

    kind: ClassVar[str] = "blackhole"
    toxic: ClassVar[str] = "blackhole"
    proof: ClassVar[Proof] = "acted"
    excludes: ClassVar[frozenset[str]] = frozenset(
        {"latency", "bandwidth", "cut", "blackhole", "reset", "partition", "topology"}
    )

    def acted(self, facts: dict[str, float]) -> bool:
        return facts.get("dropped_bytes", 0) > 0
