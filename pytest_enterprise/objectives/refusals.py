"""When the system cannot serve, it says so quickly and honestly."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pytest_enterprise.errors import ConfigurationError
from pytest_enterprise.objectives.base import WORST, Bound, Objective, Outcome, Verdict, check_number, would_show
from pytest_enterprise.objectives.phases import Observed, Window
from pytest_enterprise.objectives.text import errors, quantity


@dataclass(frozen=True, kw_only=True)
class Refusals(Objective):
    """Every request of the phase is answered or refused within so many seconds, and every refusal is an allowed one.

    The value is the longest that any request of the phase took, successes included: one that hangs until the fault is
    over and then succeeds has hung all the same. A failure whose kind is not in ``allowed`` (a time-out, a reset
    connection, a 500) breaks it however quick it was. With fewer than ``at_least`` refusals it is not judged: a fault
    that refuses nothing shows nothing about refusals.
    """

    within: float
    """Seconds."""
    allowed: Sequence[str] = ("HTTP 503",)
    """Kinds of failure that are honest, as the load records them. A locustfile that also checks for ``Retry-After``
    records its absence as a kind of its own."""
    at_least: int = 1
    """Refusals that it takes to judge."""

    def _default_name(self) -> str:
        return f"refusals-{self.phase}"

    def _check(self) -> None:
        check_number("Refusals", "within", self.within, 0, 86400)
        if isinstance(self.allowed, str) or not self.allowed:
            raise ConfigurationError(f"Refusals: allowed={self.allowed!r}; give a list of kinds such as ['HTTP 503']")
        if self.at_least < 1:
            raise ConfigurationError(f"Refusals: at_least={self.at_least!r}; it takes 1 refusal or more to judge them")

    @property
    def bound(self) -> Bound:
        return Bound(self.within, "<=", "s")

    def judge(self, observed: Observed, window: Window | None) -> Verdict:
        requests = observed.phase(self.phase, window, self.endpoint).requests
        if not len(requests):
            return self.nothing(observed, window)
        refused = requests.where(requests.failed)
        dishonest = refused.where(~refused.of_kind(self.allowed))
        limit = round(self.within * 1e9)
        hung = requests.where(requests.took > limit)
        value = int(requests.took.max()) / 1e9
        detail = f"{len(refused):,} of {len(requests):,} requests refused"
        if len(refused):
            slowest = quantity(int(refused.took.max()) / 1e9, "s")
            detail += f" ({errors(refused)}), the slowest after {slowest}"
        outcome: Outcome = "held"
        if len(dishonest):
            detail += f"; {len(dishonest):,} failed otherwise than by {' or '.join(self.allowed)}: {errors(dishonest)}"
        if len(hung):
            detail += f"; {len(hung):,} took longer than {quantity(self.within, 's')}"
        if len(dishonest) or len(hung):
            outcome = "broken"
        elif len(refused) < self.at_least:
            outcome = "not judged"
            detail = (
                f"{detail}, {self.at_least:,} needed to judge refusals: let the fault last longer or drop the objective"
            )
        else:
            detail += f"; {would_show(len(requests), 'hung or failed otherwise')}"
        worst = dishonest.slowest(WORST)
        worst += [request for request in hung.slowest(2 * WORST) if request not in worst]
        return self.verdict(window, outcome, value, len(refused), detail, worst=worst)
