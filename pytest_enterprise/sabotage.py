"""Sabotage: a scenario counts only once a switch that breaks what it proves has made its named objective fail.

``@pytest.mark.scenario(claim=..., sabotage={"retries_off": "availability-during"})`` names, for each switch, the
objective that must break. With ``--enterprise-sabotage`` the scenario runs once per switch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple, Protocol

from pytest_enterprise.errors import ConfigurationError, nearest


class Judged(Protocol):
    """What is needed of a verdict: see :class:`pytest_enterprise.objectives.Verdict`."""

    @property
    def objective(self) -> str: ...
    @property
    def outcome(self) -> str: ...
    @property
    def detail(self) -> str: ...


class SabotageOutcome(NamedTuple):
    """What one sabotaged run of a scenario showed."""

    outcome: Literal["caught", "survived", "wrong"]
    """``caught``: the named objective broke and the test failed, as it must. ``survived``: the test passed.
    ``wrong``: it failed, but not by the named objective, so it is not shown that the scenario can fail by it."""
    detail: str
    """What happened and, unless caught, the way out."""

    @property
    def passed(self) -> bool:
        """True when the scenario has shown that it can fail."""
        return self.outcome == "caught"


def declared(scenario: str, sabotage: Any) -> dict[str, str]:
    """The switches of a scenario and the objective each must break; empty for None.

    Raises ConfigurationError, naming ``scenario``, for anything but a mapping of names to names.
    """
    if sabotage is None:
        return {}
    if not isinstance(sabotage, Mapping):
        raise ConfigurationError(
            f"{scenario}: sabotage={sabotage!r}; give a mapping from each switch to the name of the objective that it "
            "must break, such as sabotage={'retries_off': 'availability-during'}"
        )
    for switch, objective in sabotage.items():
        if not isinstance(switch, str) or not switch or "/" in switch or switch != switch.strip():
            raise ConfigurationError(f"{scenario}: sabotage switch {switch!r} is not a name without '/' and spaces")
        if not isinstance(objective, str) or not objective:
            raise ConfigurationError(
                f"{scenario}: sabotage switch {switch!r} must break {objective!r}; give the name of one objective"
            )
    return dict(sabotage)


def verdict_of_sabotage(
    switch: str, objective: str, verdicts: Sequence[Judged], failed: bool, message: str = ""
) -> SabotageOutcome:
    """Whether the sabotage ``switch`` was caught by ``objective``.

    ``verdicts`` are those of the sabotaged run, ``failed`` is whether its test failed, and ``message`` by what.
    """
    named = [verdict for verdict in verdicts if verdict.objective == objective]
    broken = [verdict for verdict in named if verdict.outcome == "broken"]
    first = message.strip().partition("\n")[0]
    because = f": {first}" if first else ""
    if broken and failed:
        return SabotageOutcome("caught", f"{switch} broke {objective}: {broken[0].detail}")
    if broken:
        return SabotageOutcome(
            "survived",
            f"{switch} broke {objective}, but the test passed: let what objectives.check() raises end the test",
        )
    if not failed:
        return SabotageOutcome(
            "survived",
            f"the scenario passed with {switch} on; {objective} {_state(named)}. Either the switch does not "
            "break what the scenario proves, or the scenario does not prove it",
        )
    if not named:
        known = sorted({verdict.objective for verdict in verdicts})
        judged = nearest(objective, known) if known else "It had judged nothing yet"
        return SabotageOutcome(
            "wrong", f"with {switch} on the test failed before {objective} was judged. {judged}{because}"
        )
    others = sorted({verdict.objective for verdict in verdicts if verdict.outcome == "broken"})
    instead = f"; what broke: {', '.join(others)}" if others else ""
    return SabotageOutcome(
        "wrong",
        f"with {switch} on the test failed, but {objective} {_state(named)}{instead}. Name "
        f"the objective that the switch breaks, or make the load and the fault long enough to show it{because}",
    )


def _state(verdicts: Sequence[Judged]) -> str:
    if not verdicts:
        return "was not among what it judged"
    words = "could not be judged" if verdicts[0].outcome == "not judged" else f"was judged {verdicts[0].outcome}"
    return f"{words} ({verdicts[0].detail})" if verdicts[0].detail else words
