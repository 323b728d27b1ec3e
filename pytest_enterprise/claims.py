"""Claims: sentences that somebody relies on, kept in ``claims.toml`` with the scenarios that prove them.

.. code-block:: toml

    [[claim]]
    id = "replica-failover"
    text = "When one of three replicas dies, users do not notice."
    source = "Service description, section 4.2"
    controls = ["SOC2:A1.2"]
    scenarios = ["scenarios/failover/test_replicas.py::test_kill_one_of_three"]

The file lists the scenarios, so that it can be read alone, and each scenario names its claim in its marker: both must
agree.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

from pytest_enterprise import sabotage as sabotage_module
from pytest_enterprise.errors import ConfigurationError, nearest

Answer = Literal["held", "broken", "not judged", "no scenario"]
_ID = re.compile(r"[a-z0-9][a-z0-9-]*")
_CONTROL = re.compile(r"[A-Za-z0-9]+:\S+")
_SCENARIO = re.compile(r".+\.(py|json|ya?ml)::.+")
NOT_RUN = "it was not run"
"""Why a scenario that a run left out answers nothing."""


@dataclass(frozen=True, kw_only=True)
class Claim:
    """One claim of ``claims.toml``."""

    id: str
    text: str
    source: str = ""
    """Where the sentence stands: a document, a contract, a page."""
    controls: tuple[str, ...] = ()
    """Requirements of frameworks that it answers to: ``SOC2:A1.2``."""
    scenarios: tuple[str, ...] = ()
    """Node ids of tests relative to pytest's root directory; one without ``[...]`` means all its parameters."""

    def as_dict(self) -> dict[str, Any]:
        """For ``run.json``."""
        return asdict(self)


def load(path: Path) -> tuple[Claim, ...]:
    """The claims of a file; none when there is no such file. Raises ConfigurationError that names file and claim."""
    import tomllib

    if not path.exists():
        return ()
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{path}: cannot be read as TOML: {error}") from None
    if unknown := set(document) - {"claim"}:
        raise ConfigurationError(f"{path}: {min(unknown)!r} means nothing here; write [[claim]] tables only")
    tables = document.get("claim", [])
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        raise ConfigurationError(f"{path}: write each claim as a table headed [[claim]], in double brackets")
    claims: dict[str, Claim] = {}
    homes: dict[str, str] = {}
    for number, table in enumerate(tables, 1):
        claim = _claim(f"{path}: claim {table.get('id', number)!r}", table)
        if claim.id in claims:
            raise ConfigurationError(f"{path}: two claims have the id {claim.id!r}; give each its own")
        for scenario in claim.scenarios:
            if scenario in homes:
                raise ConfigurationError(
                    f"{path}: {scenario} is listed by {homes[scenario]!r} and by {claim.id!r}; "
                    "a scenario proves one claim"
                )
            homes[scenario] = claim.id
        claims[claim.id] = claim
    return tuple(claims.values())


def _claim(where: str, table: Mapping[str, Any]) -> Claim:
    fields = tuple(Claim.__dataclass_fields__)
    for key in table:
        if key not in fields:
            raise ConfigurationError(f"{where}: unknown key {key!r}. {nearest(key, fields)}")
    for key in ("id", "text"):
        if not isinstance(table.get(key), str) or not table[key].strip():
            raise ConfigurationError(f'{where}: {key}={table.get(key)!r}; every claim has {key} = "..."')
    if not _ID.fullmatch(table["id"]):
        raise ConfigurationError(f"{where}: use lower-case letters, digits and '-' in an id")
    if not isinstance(table.get("source", ""), str):
        raise ConfigurationError(f"{where}: source={table['source']!r}; give a text")
    for key, form, example in (("controls", _CONTROL, "SOC2:A1.2"), ("scenarios", None, "scenarios/test_a.py::test_b")):
        values = table.get(key, [])
        if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
            raise ConfigurationError(f'{where}: {key}={values!r}; give a list such as ["{example}"]')
        for value in values:
            if not (form or _SCENARIO).fullmatch(value):
                raise ConfigurationError(f"{where}: {key}: {value!r} is not of the form {example!r}")
    return Claim(
        id=table["id"],
        text=table["text"].strip(),
        source=table.get("source", ""),
        controls=tuple(table.get("controls", ())),
        scenarios=tuple(table.get("scenarios", ())),
    )


def base(scenario: str) -> str:
    """A node id without its parameters: ``test_a.py::test_b[1]`` is ``test_a.py::test_b``."""
    file, colons, rest = scenario.partition("::")
    return file + colons + rest.partition("[")[0]


def _listed(scenario: str, claim: Claim) -> bool:
    return scenario in claim.scenarios or base(scenario) in claim.scenarios


def check(claims: Sequence[Claim], scenario: str, claim: Any, sabotage: Any = None) -> None:
    """Check what the marker of one collected scenario says against the claims.

    Raises ConfigurationError for a claim that does not exist or does not list the scenario, and for a ``sabotage`` that
    is not a mapping.
    """
    sabotage_module.declared(scenario, sabotage)
    if not isinstance(claim, str) or not claim:
        raise ConfigurationError(f'{scenario}: claim={claim!r}; name the claim that it proves: scenario(claim="...")')
    found = next((known for known in claims if known.id == claim), None)
    if found is None:
        known = nearest(claim, (known.id for known in claims)) if claims else "There is no claims.toml, or it is empty."
        raise ConfigurationError(
            f"{scenario}: no claim has the id {claim!r}. {known} Claims stand in claims.toml (--enterprise-claims) as "
            f'[[claim]] id = "{claim}" text = "..."'
        )
    if not _listed(scenario, found):
        raise ConfigurationError(
            f"{scenario} names the claim {claim!r}, which does not list it: add {base(scenario)!r} to its scenarios in "
            "claims.toml"
        )


def check_listed(
    claims: Iterable[Claim], collected: Mapping[str, str | None], whole_files: Collection[str], root: Path
) -> None:
    """Check that every scenario which a claim lists exists and names that claim.

    ``collected`` maps the node id of each collected test to the claim that its marker names, None without marker;
    ``whole_files`` are the files, as they stand in node ids, of which everything was collected: what is missing there
    does not exist. Of files that were not collected only their existence below ``root`` is checked.
    """
    named: dict[str, str | None] = {}
    for test, claim in collected.items():
        named[test] = named[base(test)] = claim
    for claim_ in claims:
        for scenario in claim_.scenarios:
            file = scenario.partition("::")[0]
            where = f"claim {claim_.id!r} lists {scenario}"
            if scenario in named:
                if named[scenario] is None:
                    raise ConfigurationError(
                        f'{where}, which names no claim: mark it with @pytest.mark.scenario(claim="{claim_.id}")'
                    )
                if named[scenario] != claim_.id:
                    raise ConfigurationError(f"{where}, which names the claim {named[scenario]!r}: make both agree")
            elif file in whole_files:
                there = {base(test) for test in collected if test.partition("::")[0] == file}
                raise ConfigurationError(f"{where}, which does not exist. {nearest(scenario, there)}")
            elif not (root / file).is_file():
                raise ConfigurationError(f"{where}, but there is no file {file} in {root}")


class ScenarioAnswer(NamedTuple):
    """What one scenario says of its claim."""

    scenario: str
    answer: Answer
    reason: str
    """What broke or was missing; empty when it held."""


class ClaimAnswer(NamedTuple):
    """The answer to one claim."""

    claim: Claim
    answer: Answer
    scenarios: tuple[ScenarioAnswer, ...]


def answer(claims: Iterable[Claim], events: Iterable[Mapping[str, Any]]) -> list[ClaimAnswer]:
    """Each claim with its answer from the events of a run: ``held``, ``broken``, ``not judged`` or ``no scenario``.

    A claim is broken when one of its scenarios is, and holds when all of them hold. A scenario is broken when one of
    its objectives is, or when the test failed although all held; it is not judged when it did not run to its end, when
    an objective was not judged, or when there was none. Sabotaged runs are left out: they are meant to break.
    """
    attempts = _attempts(events)
    answers = []
    for claim in claims:
        scenarios = []
        for scenario in claim.scenarios:
            mine = [a for test, runs in attempts.items() if scenario in (test, base(test)) for a in runs]
            told = [run.answer() for run in mine] or [("not judged", NOT_RUN)]
            worst = min(told, key=lambda pair: ("broken", "not judged", "held").index(pair[0]))
            scenarios.append(ScenarioAnswer(scenario, *worst))
        found = {scenario.answer for scenario in scenarios}
        order: tuple[Answer, ...] = ("broken", "not judged", "held")
        overall: Answer = next((one for one in order if one in found), "no scenario")
        answers.append(ClaimAnswer(claim, overall, tuple(scenarios)))
    return answers


class _Attempt:
    """One run of one test."""

    def __init__(self, sabotaged: bool) -> None:
        self.sabotaged = sabotaged
        self.judged: list[Mapping[str, Any]] = []
        self.finished: Mapping[str, Any] | None = None

    def answer(self) -> tuple[Answer, str]:
        broken = [v for v in self.judged if v["outcome"] == "broken"]
        if broken:
            return "broken", "; ".join(f"{v['objective']}: {v.get('detail', '')}".rstrip(": ") for v in broken)
        if self.finished is None:
            return "not judged", "it did not finish"
        message = str(self.finished.get("message") or "").strip().partition("\n")[0]
        outcome = self.finished["outcome"]
        unjudged = [v for v in self.judged if v["outcome"] != "held"]
        if unjudged:
            told = "; ".join(f"{v['objective']}: {v.get('detail', '')}".rstrip(": ") for v in unjudged)
            return "not judged", told
        if outcome in ("skipped", "error"):
            return "not judged", f"{outcome}: {message}".rstrip(": ")
        if not self.judged:
            return "not judged", "; ".join(p for p in ("it judged no objective", message) if p)
        if outcome != "passed":
            return "broken", f"every objective held, but the test failed: {message}".rstrip(": ")
        return "held", ""


def _attempts(events: Iterable[Mapping[str, Any]]) -> dict[str, list[_Attempt]]:
    """The unsabotaged runs of each test, told apart by process, since workers may run the same test."""
    running: dict[tuple[str, Any], _Attempt] = {}
    attempts: dict[str, list[_Attempt]] = {}
    for event in events:
        kind, test = event["kind"], event.get("test")
        key = (str(test), event.get("pid"))
        if kind == "test.started":
            running[key] = _Attempt(bool(event.get("sabotage")))
            if not running[key].sabotaged:
                attempts.setdefault(key[0], []).append(running[key])
        elif key in running and kind == "objective.judged":
            running[key].judged.append(event)
        elif key in running and kind == "test.finished":
            running.pop(key).finished = event
    return attempts
