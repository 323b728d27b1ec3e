"""The fault that does nothing: a control group for every other, and the smallest example of one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from pytest_enterprise.faults.base import Evidence, Fault, Proof

if TYPE_CHECKING:
    from pytest_enterprise.faults.targets import Chooser
    from pytest_enterprise.live import LiveStack


@dataclass(frozen=True, kw_only=True)
class Noop(Fault):
    """Opens and closes a fault window, and disturbs nothing."""

    kind: ClassVar[str] = "noop"
    proof: ClassVar[Proof] = "none"
    target: str = "nothing"

    def resolve(self, choose: Chooser) -> list[str]:  # noqa: ARG002
        return [self.target]

    def begin(self, choose: Chooser, targets: list[str]) -> None:
        pass

    def end(self, stack: LiveStack, targets: list[str], state: None) -> Evidence:  # noqa: ARG002
        return Evidence(True, {})
