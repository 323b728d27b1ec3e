"""A cut link: connections end and new ones do too, at once and audibly."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from pytest_enterprise.faults.base import Evidence, Proof
from pytest_enterprise.faults.link import LinkFault, since, totals

if TYPE_CHECKING:
    from pytest_enterprise.faults.targets import Chooser
    from pytest_enterprise.live import LiveStack

_EVERY_OTHER = frozenset({"latency", "bandwidth", "cut", "blackhole", "reset", "partition", "topology"})


@dataclass(frozen=True, kw_only=True)
class Cut(LinkFault):
    """Ends every connection of the link, and resets new ones as soon as they are made, until it ends."""

    kind: ClassVar[str] = "cut"
    proof: ClassVar[Proof] = "acted"
    excludes: ClassVar[frozenset[str]] = _EVERY_OTHER

    keep: bool = False
    """Let the connections that are open go on, and only refuse new ones."""

    def begin(self, choose: Chooser, targets: list[str]) -> dict[str, float]:
        stack = choose.stack
        before = totals(stack, targets)
        done: list[str] = []
        try:
            for link in targets:
                done.append(link)
                stack.proxy.refuse(link, True, keep=self.keep)
        except BaseException:
            for link in done:
                stack.proxy.refuse(link, False)
            raise
        return before

    def end(self, stack: LiveStack, targets: list[str], state: dict[str, float]) -> Evidence:
        facts = since(state, totals(stack, targets))
        for link in targets:
            stack.proxy.refuse(link, False)
        ended = max(0, -facts.pop("connections_open", 0))
        facts["connections_ended"] = ended
        return Evidence(ended > 0 or facts.get("connections_refused", 0) > 0, facts)
