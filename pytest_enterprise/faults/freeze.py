"""A link that holds everything back and loses nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from pytest_enterprise.faults.base import Proof
from pytest_enterprise.faults.link import ToxicFault


@dataclass(frozen=True, kw_only=True)
class Freeze(ToxicFault):
    """Holds all bytes back, and lets them go in order when it ends."""

    kind: ClassVar[str] = "freeze"
    toxic: ClassVar[str] = "freeze"
    proof: ClassVar[Proof] = "acted"
