from __future__ import annotations

import pytest

from pytest_enterprise.errors import ConfigurationError
from pytest_enterprise.objectives import Verdict
from pytest_enterprise.sabotage import declared, verdict_of_sabotage


def verdict(objective, outcome, detail="47 of 612 failed"):
    return Verdict(objective, "during", "f1", 0.9, 0.995, ">=", "share", outcome, 612, detail)


def told(verdicts, failed, message=""):
    return verdict_of_sabotage("retries_off", "availability-during", verdicts, failed, message)


def test_caught_when_the_named_objective_broke_and_the_test_failed():
    """That is what a sabotaged run is for."""
    outcome = told([verdict("recovery", "held"), verdict("availability-during", "broken")], True)
    assert outcome.outcome == "caught"
    assert outcome.passed
    assert outcome.detail == "retries_off broke availability-during: 47 of 612 failed"


def test_caught_when_one_of_several_faults_broke_it():
    """An objective judged around two faults need break around one only."""
    verdicts = [verdict("availability-during", "held"), verdict("availability-during", "broken")]
    assert told(verdicts, True).passed


def test_survived_when_the_test_passed():
    """The scenario does not notice what it should: the message says what the objective was judged."""
    outcome = told([verdict("availability-during", "held")], False)
    assert (outcome.outcome, outcome.passed) == ("survived", False)
    assert "was judged held (47 of 612 failed)" in outcome.detail


def test_survived_when_the_test_swallowed_the_failure():
    """A broken objective that does not fail the test is not caught."""
    outcome = told([verdict("availability-during", "broken")], False)
    assert outcome.outcome == "survived"
    assert "let what objectives.check() raises end the test" in outcome.detail


def test_survived_without_the_objective():
    """A passing test that never judged it is told so."""
    assert "was not among what it judged" in told([verdict("recovery", "held")], False).detail


def test_wrong_when_another_objective_broke():
    """Just any failure is not enough."""
    outcome = told([verdict("availability-during", "held"), verdict("recovery", "broken")], True, "recovery: broken")
    assert (outcome.outcome, outcome.passed) == ("wrong", False)
    assert "what broke: recovery" in outcome.detail


def test_wrong_when_it_was_not_judged():
    """Too few requests show nothing, broken or not."""
    outcome = told([verdict("availability-during", "not judged", "12 requests, 600 needed")], True)
    assert outcome.outcome == "wrong"
    assert "was judged not judged" not in outcome.detail
    assert "could not be judged (12 requests, 600 needed)" in outcome.detail


def test_wrong_when_the_test_failed_before():
    """An error on the way is no proof; its first line is told."""
    outcome = told([], True, "engine etcd did not start\nlog ...")
    assert outcome.outcome == "wrong"
    assert outcome.detail.endswith("It had judged nothing yet: engine etcd did not start")


def test_wrong_with_a_name_that_nothing_has():
    """The nearest that was judged is named."""
    outcome = verdict_of_sabotage("x", "availability", [verdict("availability-during", "broken")], True)
    assert outcome.outcome == "wrong"
    assert "Did you mean 'availability-during'?" in outcome.detail


def test_what_is_declared():
    """A mapping of switches to objectives, or nothing."""
    assert declared("t.py::x", None) == {}
    assert declared("t.py::x", {"a": "recovery"}) == {"a": "recovery"}


@pytest.mark.parametrize(
    "wrong", [["retries_off"], "retries_off", {"": "a"}, {"a/b": "c"}, {1: "a"}, {"a": ""}, {"a": ["b"]}]
)
def test_what_cannot_be_declared(wrong):
    """The scenario and the value are named."""
    with pytest.raises(ConfigurationError, match=r"t.py::x: sabotage"):
        declared("t.py::x", wrong)
