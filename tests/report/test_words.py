"""The words that every form of the report shares."""

import dataclasses

import pytest

from pytest_enterprise import replay
from pytest_enterprise.errors import EnterpriseError
from pytest_enterprise.report import words
from pytest_enterprise.report.model import load_run


@pytest.mark.parametrize(
    ("value", "told"),
    [(None, "unknown"), (0.4119, "0.412 s"), (12.34, "12.3 s"), (250, "4 min 10 s"), (7260, "2 h 1 min")],
)
def test_seconds(value, told):
    """Durations have the precision that their size deserves."""
    assert words.seconds(value) == told


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("delayed_ms", 261300.5, "delayed 261,300 ms"),
        ("ready_after_s", 0.81, "ready after 0.81 s"),
        ("pid", 4812, "pid 4812"),
        ("ended", {"a": True, "b": None}, "ended a yes, b none"),
        ("paths", ["x", 1234], "paths x, 1,234"),
        ("empty", [], "empty none"),
    ],
)
def test_fact(name, value, told):
    """Counters and settings read as phrases with their units."""
    assert words.fact(name, value) == told


def test_headline_of_an_empty_run(builder):
    """A run of nothing is not a success."""
    told = words.headline(load_run(builder().write()))
    assert (told.verdict, told.sentence) == ("not judged", "No scenario was run.")


def test_headline_when_all_held(builder):
    """When every scenario held, the sentence says so, and counts the claims that nothing answered."""
    build = builder()
    build.begin("scenarios/failover/test_replicas.py::test_kill_one_of_three", claim="replica-failover")
    build.judged("recovery", 1, 3, "<=", "s")
    build.end()
    told = words.headline(load_run(build.write(exit_status=0)))
    assert told.verdict == "held"
    assert told.sentence == "The only scenario held; of 5 claims 1 held, 3 not judged, 1 without a scenario."


def test_headline_counts_other_tests(builder):
    """A failed test that proves no claim breaks the run all the same."""
    build = builder()
    build.begin("tests/test_a.py::test_b")
    build.end("failed", "no")
    told = words.headline(load_run(build.write()))
    assert (told.verdict, told.sentence) == ("broken", "No scenario was run. 1 other test failed.")


def test_headline_when_every_sabotage_was_caught(builder):
    """Caught sabotage is what a sabotaged run should show."""
    build = builder()
    build.begin("t.py::test_a[off]", claim="replica-failover", sabotage="off")
    build.emit("scenario.sabotaged", test=build.test, switch="off", objective="x", outcome="caught", detail="")
    build.end()
    told = words.headline(load_run(build.write(exit_status=0)))
    assert (told.verdict, told.sentence) == (
        "held",
        "Every sabotage was caught (1 switch run): the scenarios can fail.",
    )


def test_again_of_a_stack_held_by_hand(demo):
    """The command as it was typed; there is no test to run alone, and none to replay."""
    report = dataclasses.replace(
        load_run(demo), command=("/usr/bin/pytest-enterprise", "up", "my stack.toml", "--web", "a.py")
    )
    assert words.again(report, "up") == words.again(report) == "pytest-enterprise up 'my stack.toml' --web a.py"
    with pytest.raises(EnterpriseError, match="begun by hand"):
        replay._chosen(report, [])


def test_again(demo):
    """The command holds the test, the seed and the runtime, quoted for a shell."""
    report = load_run(demo)
    assert words.again(report) == "pytest scenarios -m demo --enterprise-seed=4021338117"
    assert words.again(report, "a.py::b[x y]").startswith("pytest 'a.py::b[x y]' --enterprise-seed=4021338117")


@pytest.mark.parametrize(
    ("started", "told"),
    [
        ({"users": 30, "closed_loop": True}, "30 users, closed loop"),
        ({"users": None}, "some users, closed loop"),
        ({"closed_loop": False, "arrivals": {"kind": "constant", "rate": 100}}, "constant, 100 per second, open loop"),
        ({"closed_loop": False, "arrivals": {"kind": "of tomorrow"}}, "open loop"),
        ({"closed_loop": False}, "open loop"),
    ],
)
def test_loop(started, told):
    """Wherever a load is told of, its loop is."""
    assert words.loop(started) == told
