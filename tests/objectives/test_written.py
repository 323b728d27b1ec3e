"""Objectives that stand in pyproject.toml."""

from __future__ import annotations

import pytest

from pytest_enterprise.errors import ConfigurationError
from pytest_enterprise.objectives import (
    Availability,
    Latency,
    ObjectiveBroken,
    Objectives,
    Recovery,
    Refusals,
)
from pytest_enterprise.objectives.written import KINDS, read

GROUP = """
[tool.pytest-enterprise.objectives.checkout]
orders-served = {kind = "Availability", at_least = 0.995, endpoint = "POST /orders"}
orders-quick = {kind = "Latency", percentile = 95, at_most = 0.25, phase = "before"}
back-soon = {kind = "Recovery", within = 3}
honest = {kind = "Refusals", within = 1, allowed = ["HTTP 503", "HTTP 429"]}
"""


@pytest.fixture
def project(tmp_path):
    def write(text):
        (tmp_path / "pyproject.toml").write_text(text)
        return tmp_path

    return write


def test_a_group_holds_objectives_by_name(project):
    """Each is what it would be in a test, named after its key."""
    assert read("checkout", project(GROUP)) == (
        Availability(name="orders-served", at_least=0.995, endpoint="POST /orders"),
        Latency(name="orders-quick", percentile=95, at_most=0.25, phase="before"),
        Recovery(name="back-soon", within=3),
        Refusals(name="honest", within=1, allowed=("HTTP 503", "HTTP 429")),
    )


def test_a_test_judges_a_group_by_its_name(project, request_at, stream, window):
    """Beside objectives of its own; the names stand in the verdicts."""

    class Load:
        started = stopped = 0

        def records(self):
            return stream(20, bad=lambda at: 5 <= at < 6, name="POST /orders")

    made = Objectives(lambda kind, **fields: None, "test", root=project(GROUP))
    with pytest.raises(ObjectiveBroken):
        made.check("checkout", Availability(at_least=0.5), load=Load(), faults=[window(5, 10)])
    assert {verdict.objective: verdict.outcome for verdict in made.verdicts} == {
        "orders-served": "broken",
        "orders-quick": "held",
        "back-soon": "held",
        "honest": "held",
        "availability-during": "held",
    }


def test_every_kind_that_a_file_can_hold_is_told(project):
    """And none that a test must measure itself."""
    assert {"Fact", "Durability", "TimeToDetect"} & set(KINDS) == set()
    with pytest.raises(ConfigurationError, match=r"kind='Fact' is unknown.*Known: Availability, BurnRate, Correctness"):
        read("a", project('[tool.pytest-enterprise.objectives.a]\nx = {kind = "Fact"}\n'))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[tool", "cannot be read as TOML"),
        ("", r"there are no objectives 'a'\. There is none\. Write \[tool.pytest-enterprise.objectives.a\]"),
        (GROUP.replace("checkout", "ab"), "Did you mean 'ab'"),
        ("[tool.pytest-enterprise.objectives.a]\n", "holds no objective"),
        ("[tool.pytest-enterprise.objectives.a]\nx = 3\n", r"objectives.a.x=3; write a table"),
        ('[tool.pytest-enterprise.objectives.a]\nx = {kind = "Latenzy"}\n', "Did you mean 'Latency'"),
        ('[tool.pytest-enterprise.objectives.a]\nx = {kind = "Latency"}\n', "objectives.a.x: Latency needs at_most"),
        (
            '[tool.pytest-enterprise.objectives.a]\nx = {kind = "Latency", at_mots = 1}\n',
            "'at_mots' is unknown. Did you mean 'at_most'",
        ),
        ('[tool.pytest-enterprise.objectives.a]\nx = {kind = "Latency", at_most = "1"}\n', "a.x: Latency: at_most='1'"),
        ('[tool.pytest-enterprise.objectives.a]\nx = {kind = "Latency", at_most = 1, phase = 2}\n', "phase=2 is not"),
        ('[tool.pytest-enterprise.objectives.a]\n"X Y" = {kind = "Latency", at_most = 1}\n', "use lower-case"),
    ],
)
def test_mistakes_name_the_place_and_the_way_out(project, text, message):
    """No traceback for somebody who writes a file."""
    with pytest.raises(ConfigurationError, match=message):
        read("a", project(text))


def test_without_a_pyproject(tmp_path):
    """It says where they are looked for."""
    with pytest.raises(ConfigurationError, match=r"pyproject.toml cannot be read \(No such file or directory\)"):
        read("a", tmp_path)
