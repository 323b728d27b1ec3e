from __future__ import annotations

import itertools
import time

import pytest

from pytest_enterprise.errors import ConfigurationError
from pytest_enterprise.objectives import Sighting, TimeToDetect, judge, watch

S = 1_000_000_000


def one(objective, *windows):
    (verdict,) = judge([objective], [], windows)
    return verdict


def test_from_the_start_of_the_fault_to_the_moment_noted(window):
    """A moment that the test knows is taken as it is."""
    verdict = one(TimeToDetect(within=3, noticed=12 * S), window(10, 20))
    assert (verdict.outcome, verdict.value, verdict.interval) == ("held", 2.0, None)
    assert (verdict.objective, verdict.phase, verdict.fault, verdict.unit) == (
        "time-to-detect",
        "during",
        "main-1",
        "s",
    )
    assert one(TimeToDetect(within=1, noticed=12 * S), window(10, 20)).outcome == "broken"


def test_the_time_between_two_looks_is_its_uncertainty(window):
    """Between the last look that did not see it and the first that did."""
    seen = Sighting(round(12.5 * S), round(12.3 * S))
    verdict = one(TimeToDetect(within=3, noticed=seen), window(10, 20))
    assert (verdict.outcome, verdict.value, verdict.interval) == ("held", 2.5, (2.3, 2.5))
    assert one(TimeToDetect(within=2, noticed=seen), window(10, 20)).outcome == "broken"
    unsure = one(TimeToDetect(within=2.4, noticed=seen), window(10, 20))
    assert unsure.outcome == "not judged"
    assert "too far apart to judge 2.4 s" in unsure.detail


def test_never_noticed(window):
    """Broken when somebody looked for longer than the limit, else not judged."""
    gone = Sighting(None, 15 * S)
    assert one(TimeToDetect(within=3, noticed=gone), window(10, 20)).outcome == "broken"
    short = one(TimeToDetect(within=8, noticed=gone), window(10, 20))
    assert (short.outcome, short.value) == ("not judged", None)
    assert "look on for more than 8 s" in short.detail


def test_what_was_there_before_is_not_the_fault(window):
    """An alert that fires all the time detects nothing."""
    verdict = one(TimeToDetect(within=3, noticed=9 * S), window(10, 20))
    assert verdict.outcome == "not judged"
    assert "before the fault began" in verdict.detail
    assert "nobody looked" in one(TimeToDetect(within=3, noticed=[]), window(10, 20)).detail
    assert one(TimeToDetect(within=3, noticed=9 * S)).outcome == "not judged"


def test_each_fault_has_its_own(window):
    """Of several moments each fault takes the first that lies after its start."""
    faults = [window(10, 12, "f1"), window(30, 32, "f2")]
    verdicts = judge([TimeToDetect(within=2, noticed=[33 * S, 11 * S])], [], faults)
    assert [(v.fault, v.value, v.outcome) for v in verdicts] == [("f1", 1.0, "held"), ("f2", 3.0, "broken")]


def test_watch_looks_until_it_sees():
    """It tells the end of the look that saw it and the start of the one before; later ones are not made."""
    looks = itertools.count(1)
    before = time.monotonic_ns()
    found = watch(lambda: next(looks) == 3, every=0.01)
    assert next(looks) == 4
    assert before < found.unseen_ns < found.at_ns < time.monotonic_ns()


def test_watch_gives_up():
    """After its time, with the last look that saw nothing."""
    before = time.monotonic_ns()
    found = watch(list, timeout=0.05, every=0.01)
    assert found.at_ns is None
    assert before < found.unseen_ns < time.monotonic_ns()
    assert watch(lambda: True).unseen_ns is None


def test_times_are_positive():
    """As everywhere."""
    with pytest.raises(ConfigurationError, match="within=0"):
        TimeToDetect(within=0, noticed=1)
    with pytest.raises(ConfigurationError, match="every=0"):
        watch(lambda: True, every=0)
