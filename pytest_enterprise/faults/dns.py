"""Names that resolve to nothing, to something else, or late."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from pytest_enterprise.errors import ConfigurationError, nearest
from pytest_enterprise.faults.base import Evidence, Proof, positive
from pytest_enterprise.faults.engine import EngineFault

if TYPE_CHECKING:
    from pytest_enterprise.faults.targets import Chooser
    from pytest_enterprise.live import LiveStack

ANSWERS = ("nxdomain", "servfail", "refused", "silence", "truth")


@dataclass(frozen=True, kw_only=True)
class Dns(EngineFault):
    """Answers each instance's questions for names like the pattern ``name`` with ``answer``, ``delay`` seconds late.

    ``answer`` is ``nxdomain``, ``servfail``, ``refused``, ``silence``, an IPv4 address, or ``truth`` for a delay alone.
    The engine must be declared with ``names=True``. Acted when such a question came.
    """

    kind: ClassVar[str] = "dns"
    proof: ClassVar[Proof] = "acted"
    excludes: ClassVar[frozenset[str]] = frozenset()

    answer: str = "nxdomain"
    name: str = "*"
    delay: float = 0.0

    def __post_init__(self) -> None:
        positive(self.kind, "delay", self.delay, limit=600, unit="seconds", zero=True)
        if self.answer not in ANSWERS:
            try:
                ipaddress.IPv4Address(self.answer)
            except ValueError:
                raise ConfigurationError(
                    f"dns: answer={self.answer!r} is neither an IPv4 address nor an answer. "
                    f"{nearest(str(self.answer), ANSWERS)}"
                ) from None
        if self.answer == "truth" and not self.delay:
            raise ConfigurationError("dns: answer='truth' with no delay disturbs nothing; give a delay")

    def resolve(self, choose: Chooser) -> list[str]:
        targets = super().resolve(choose)
        for name in targets:
            choose.stack.running.asks_as(name)
        return targets

    def begin(self, choose: Chooser, targets: list[str]) -> dict[str, int]:
        running = choose.stack.running
        rules: dict[str, int] = {}
        rule = {"name": self.name, "answer": "" if self.answer == "truth" else self.answer, "delay": self.delay}
        try:
            for name in targets:
                rules[name] = running.ask_resolver("POST", "/faults", {"client": running.asks_as(name), **rule})["id"]
        except BaseException:
            self.end(choose.stack, targets, rules)
            raise
        return rules

    def end(self, stack: LiveStack, targets: list[str], state: dict[str, int]) -> Evidence:  # noqa: ARG002
        met = sum(stack.running.ask_resolver("DELETE", f"/faults/{number}")["met"] for number in state.values())
        return Evidence(met > 0, {"questions": met})
