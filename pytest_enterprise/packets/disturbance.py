"""What is wrong with the packets of a network, and how it is counted."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Disturbance:
    """Shares are from 0 to 1, times in seconds; the words are those of ``tc netem``."""

    loss: float = 0.0
    delay: float = 0.0
    jitter: float = 0.0
    """The delay is this much shorter or longer, evenly spread."""
    duplicate: float = 0.0
    reorder: float = 0.0
    """The share that is not delayed, and so overtakes what is."""

    @property
    def only_loses(self) -> bool:
        return not (self.delay or self.duplicate)


@dataclass(kw_only=True)
class Counters:
    """Packets, by what became of them."""

    seen: int = 0
    lost: int = 0
    delayed: int = 0
    duplicated: int = 0
    reordered: int = 0
    """Sent while an earlier one was held back still."""

    def add(self, other: Counters) -> None:
        for name, count in asdict(other).items():
            setattr(self, name, getattr(self, name) + count)

    def as_facts(self) -> dict[str, Any]:
        return asdict(self)
