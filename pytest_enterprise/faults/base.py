"""What a fault is: settings that can be checked, and three verbs (check, begin, end) on a running stack.

A fault object is frozen data. What one application of it needs to remember is the state that ``begin`` returns and
``end`` is given.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple

from pytest_enterprise.errors import ConfigurationError

if TYPE_CHECKING:
    from pytest_enterprise.faults.targets import Chooser
    from pytest_enterprise.live import LiveStack

Proof = Literal["acted", "exercised", "none", "unproven"]
"""How a fault shows that it did something.

``acted``: measured on the target itself (bytes delayed, connections refused, the process stopped).
``exercised``: traffic met it, but what it did cannot be told apart from what would have happened anyway.
``none``: it changes nothing (the no-op).
``unproven``: a Toxiproxy of somebody else's played it, and does not tell what it did.
"""


class Evidence(NamedTuple):
    """What a fault did, told when it ends."""

    acted: bool
    facts: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Fault(ABC):
    """A reversible disturbance of one target."""

    kind: ClassVar[str]
    proof: ClassVar[Proof]
    excludes: ClassVar[frozenset[str]] = frozenset()
    """Kinds that contradict this one on the same target."""
    by_links: ClassVar[bool] = False
    """The fault proxy plays it and tells what it did, as a Toxiproxy of somebody else's does not."""

    target: str

    @abstractmethod
    def resolve(self, choose: Chooser) -> list[str]:
        """The links or instances that the target means; ConfigurationError names what exists."""

    @abstractmethod
    def begin(self, choose: Chooser, targets: list[str]) -> Any:
        """Apply it to ``choose.stack`` and return what ``end`` needs; applies all of it or nothing.

        ``targets`` is what :meth:`resolve` found with the same ``choose``, which chooses the same again.
        """

    @abstractmethod
    def end(self, stack: LiveStack, targets: list[str], state: Any) -> Evidence:
        """Undo it, whatever the target did meanwhile, and tell what it did."""

    @property
    def settings(self) -> dict[str, Any]:
        """Everything but the target, for events."""
        return {key: value for key, value in asdict(self).items() if key != "target"}


def positive(fault: str, setting: str, value: object, *, limit: float, unit: str, zero: bool = False) -> None:
    """Refuse a number that is not finite, negative, zero (unless allowed) or absurd."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise ConfigurationError(f"{fault}: {setting}={value!r} is not a number of {unit}")
    if value < 0 or (value == 0 and not zero) or value > limit:
        least = "from 0" if zero else "above 0"
        raise ConfigurationError(f"{fault}: {setting}={value!r} is out of range; give {unit} {least} to {limit:g}")
