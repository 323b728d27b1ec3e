"""A burst of TCP resets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from pytest_enterprise.faults.base import Evidence, Proof, positive
from pytest_enterprise.faults.link import Direction, ToxicFault, since, totals

if TYPE_CHECKING:
    from pytest_enterprise.faults.targets import Chooser
    from pytest_enterprise.live import LiveStack


@dataclass(frozen=True, kw_only=True)
class Reset(ToxicFault):
    """Resets the connections that are open, and each later one ``after`` seconds from its first byte."""

    kind: ClassVar[str] = "reset"
    toxic: ClassVar[str] = "reset_peer"
    proof: ClassVar[Proof] = "acted"

    after: float = 0.0
    direction: Direction = "downstream"

    def __post_init__(self) -> None:
        super().__post_init__()
        positive(self.kind, "after", self.after, limit=600, unit="seconds", zero=True)

    def attributes(self) -> dict[str, Any]:
        return {"timeout": round(self.after * 1000)}

    def begin(self, choose: Chooser, targets: list[str]) -> Any:
        stack = choose.stack
        before = totals(stack, targets)
        toxics = super().begin(choose, targets)
        for link in targets:
            stack.proxy.close_connections(link, "reset")
        return before, toxics

    def end(self, stack: LiveStack, targets: list[str], state: Any) -> Evidence:
        before, toxics = state
        super().end(stack, targets, toxics)
        facts = since(before, totals(stack, targets))
        return Evidence(facts.get("connections_reset", 0) > 0, facts)
