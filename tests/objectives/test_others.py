"""Throughput, refusals and facts."""

from __future__ import annotations

import math

import pytest

from pytest_enterprise.errors import ConfigurationError
from pytest_enterprise.objectives import Fact, Refusals, Throughput, judge

S = 1_000_000_000


def one(objective, requests, *windows, **kwargs):
    (verdict,) = judge([objective], requests, windows, **kwargs)
    return verdict


def test_throughput_counts_successes_that_end_in_the_phase(stream, window):
    """100 requests per second of which half fail in the fault are 50 per second."""
    requests = stream(30, latency=0.001, bad=lambda at: 10 <= at < 20 and round(at * 100) % 2 == 0)
    verdict = one(Throughput(at_least=60, phase="during"), requests, window(10, 20))
    assert (verdict.value, verdict.samples, verdict.outcome, verdict.unit) == (50, 500, "broken", "requests/s")
    assert one(Throughput(at_least=50, phase="during"), requests, window(10, 20)).outcome == "held"
    assert one(Throughput(at_least=60), requests).outcome == "held"


def test_throughput_counts_what_hangs_over_once(request_at, stream, window):
    """A request that overlaps the fault but ends after it is served after it."""
    requests = [
        request_at(0),
        *(request_at(9.5, 1) for _ in range(500)),
        *(request_at(20 + i / 100) for i in range(99)),
    ]
    faults = window(5, 10)
    assert one(Throughput(at_least=50, phase="during"), requests, faults).value == 0
    assert one(Throughput(at_least=10, phase="after"), requests, faults).samples == 599


def test_throughput_of_a_dead_system_is_broken(stream, window):
    """No success in five seconds is less than 50 per second, few samples or not."""
    requests = stream(20, bad=lambda at: at >= 5)
    assert one(Throughput(at_least=50, phase="during"), requests, window(5, 10)).outcome == "broken"


def test_throughput_of_a_short_phase_is_not_judged(stream, window):
    """Half a second cannot show 50 per second."""
    verdict = one(Throughput(at_least=50, phase="during"), stream(20), window(5, 5.5))
    assert verdict.outcome == "not judged"
    assert "2 s needed" in verdict.detail


def test_throughput_counts_the_silence_of_the_load(stream):
    """The load's own time counts, not that of its last request."""
    verdict = one(Throughput(at_least=20), stream(10), span=(0, 100 * S))
    assert verdict.value == pytest.approx(10)
    assert verdict.outcome == "broken"


def test_throughput_without_requests(window):
    """Nothing recorded is not judged."""
    assert one(Throughput(at_least=1, phase="during"), [], window(1, 2)).outcome == "not judged"
    assert Throughput(at_least=1).name == "throughput-whole"
    with pytest.raises(ConfigurationError, match="at_least"):
        Throughput(at_least=0)


def test_refusals_that_are_quick_and_honest_hold(stream, window):
    """503 within ten milliseconds is what one can ask of a service that cannot serve."""
    requests = stream(20, bad=lambda at: 5 <= at < 8)
    verdict = one(Refusals(within=1.0), requests, window(5, 8))
    assert (verdict.outcome, verdict.samples, verdict.value) == ("held", 300, 0.01)
    assert "300 of 301 requests refused (300 × HTTP 503)" in verdict.detail
    assert verdict.detail.endswith("had 0.99 % or more hung or failed otherwise, it would have shown")


def test_a_refusal_that_hung_breaks_it(stream, request_at, window):
    """One slow 503 among hundreds is enough."""
    requests = [*stream(20, bad=lambda at: 5 <= at < 8), request_at(6, 1.5, "HTTP 503")]
    verdict = one(Refusals(within=1.0), requests, window(5, 8))
    assert (verdict.outcome, verdict.value) == ("broken", 1.5)
    assert verdict.worst[0].latency == 1.5


def test_a_success_that_hung_breaks_it_too(stream, request_at, window):
    """Who waits three seconds for an answer was neither answered nor refused in time."""
    requests = [*stream(20, bad=lambda at: 5 <= at < 8), request_at(5, 3.1)]
    verdict = one(Refusals(within=1.0), requests, window(5, 8))
    assert verdict.outcome == "broken"
    assert "1 took longer than 1.000 s" in verdict.detail


def test_a_dishonest_failure_breaks_it_however_quick(stream, request_at, window):
    """A reset connection tells a user nothing; the verdict shows it first."""
    requests = [*stream(20, bad=lambda at: 5 <= at < 8), request_at(6, 0.001, "ConnectionResetError")]
    verdict = one(Refusals(within=1.0), requests, window(5, 8))
    assert (verdict.outcome, verdict.worst[0].error) == ("broken", "ConnectionResetError")
    assert "1 failed otherwise than by HTTP 503: 1 × ConnectionResetError" in verdict.detail
    assert (
        one(Refusals(within=1.0, allowed=["HTTP 503", "ConnectionResetError"]), requests, window(5, 8)).outcome
        == "held"
    )


def test_no_refusals_show_nothing_about_refusals(stream, window):
    """Where nothing was refused it is not judged."""
    assert one(Refusals(within=1.0), stream(20), window(5, 8)).outcome == "not judged"
    assert one(Refusals(within=1.0), [], window(5, 8)).outcome == "not judged"


@pytest.mark.parametrize("wrong", [{"within": 0}, {"allowed": "HTTP 503"}, {"allowed": []}, {"at_least": 0}])
def test_refusals_that_cannot_be_meant(wrong):
    """A single text is not a list of kinds."""
    with pytest.raises(ConfigurationError, match=next(iter(wrong))):
        Refusals(**{"within": 1.0, **wrong})


@pytest.mark.parametrize(
    ("value", "limit", "comparison", "outcome"),
    [
        (0, 0, "<=", "held"),
        (1, 0, "<=", "broken"),
        (812, 1, ">=", "held"),
        (0, 1, ">=", "broken"),
        (None, 3, "<=", "not judged"),
        (math.nan, 3, "<=", "not judged"),
        (math.inf, 3, "<=", "broken"),
    ],
)
def test_facts(value, limit, comparison, outcome):
    """What the test measured is compared with its limit; no value is not judged."""
    verdict = one(Fact("lost", value, limit, comparison, "tasks"), [])
    assert (verdict.objective, verdict.outcome, verdict.phase, verdict.fault) == ("lost", outcome, "whole", None)
    assert (verdict.limit, verdict.comparison, verdict.unit) == (limit, comparison, "tasks")


def test_a_fact_measured_on_nothing_is_not_judged():
    """None lost of none looked at proves nothing."""
    verdict = one(Fact("lost", 0, 0, samples=0), [])
    assert verdict.outcome == "not judged"
    assert one(Fact("lost", 0, 0, samples=812, detail="by key"), []).detail == "of 812 looked at; by key"


@pytest.mark.parametrize("wrong", [{"name": ""}, {"name": "Lost tasks"}, {"limit": math.inf}, {"comparison": "=="}])
def test_facts_that_cannot_be_meant(wrong):
    """A fact has a name and a limit that can be compared with."""
    with pytest.raises(ConfigurationError):
        Fact(**{"name": "lost", "value": 0, "limit": 0, **wrong})
