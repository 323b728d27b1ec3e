"""The share of requests that succeed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_enterprise.objectives.proportion import Proportion

if TYPE_CHECKING:
    from pytest_enterprise.load.columns import Columns


@dataclass(frozen=True, kw_only=True)
class Availability(Proportion):
    """At least this share of the requests succeeds. ``at_least=1.0`` means that not one fails.

    Judged from ``3 / (1 - at_least)`` requests on (600 for 99.5 %, 300 for 100 %); with fewer it is broken when so
    many failures are beyond chance, and otherwise not judged.
    """

    def _default_name(self) -> str:
        return f"availability-{self.phase}"

    def _judged(self, requests: Columns) -> Columns:
        return requests
