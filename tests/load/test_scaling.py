"""Stepped load and the limit, with real load on a little server and with loads that are made up."""

from itertools import count

import pytest

from pytest_enterprise.errors import ConfigurationError
from pytest_enterprise.load.records import Request
from pytest_enterprise.load.scaling import Scalability
from pytest_enterprise.objectives import Availability, Latency


class Made:
    """A load of one second that was not run: so many requests, all of one latency."""

    started, stopped = 0, 1_000_000_000

    def __init__(self, requests, latency):
        self._requests = [Request(n * 1_000_000_000 // requests, latency, "GET /", "", 1) for n in range(requests)]

    def records(self):
        return self._requests


def test_the_limit_is_where_an_objective_breaks_and_says_which():
    events = []
    found = Scalability(emit=lambda kind, **_: events.append(kind)).limit(
        lambda rate: Made(round(rate), 0.01 if rate < 700 else 0.9),
        Availability(at_least=0.9, phase="whole"),
        Latency(percentile=90, at_most=0.1, phase="whole"),
        low=100,
        high=2000,
    )
    assert 700 / 1.05 < found.rate < 700
    assert [verdict.objective for verdict in found.broken] == ["latency-p90-whole"]
    assert len(found.steps) == len(found.limit.trials)
    assert events[-1] == "capacity.judged"


def test_a_limit_of_the_generator_is_told_from_one_of_the_system():
    """What its load shows is not judged: the limit is where it still kept to its arrivals, and says why."""

    def run_at(rate):
        traffic = Made(round(rate), 0.01)
        traffic.behind = "9 of 10 arrivals were not made" if rate > 400 else ""
        return traffic

    found = Scalability().limit(run_at, Availability(at_least=0.9, phase="whole"), low=100, high=2000)
    assert 400 / 1.05 < found.rate <= 400
    assert found.behind == "9 of 10 arrivals were not made"
    assert found.broken == ()


def test_trials_too_short_to_judge_are_told():
    with pytest.raises(ConfigurationError, match="limit at load 10: availability-whole"):
        Scalability().limit(lambda _: Made(10, 0.01), Availability(at_least=0.999, phase="whole"), low=10, high=20)
    with pytest.raises(ConfigurationError, match="phase='whole'"):
        Scalability().limit(lambda _: Made(10, 0.01), Availability(at_least=0.9), low=10, high=20)
    with pytest.raises(ConfigurationError, match="give objectives"):
        Scalability().limit(lambda _: Made(10, 0.01), low=10, high=20)


def test_steps_with_real_load_have_throughput_and_cost(load, locustfile, serve):
    server, seconds = serve(), count()
    file = locustfile(rate=20)

    def run_at(users):
        with load(file, host=server.url, users=int(users)) as traffic:
            traffic.run_for(0.8)
        return traffic

    one, two = Scalability().steps(run_at, [1, 4], cpu=lambda: {"shop": float(next(seconds))})
    assert one.throughput > 5
    assert two.throughput > 2 * one.throughput
    assert one.failed == 0
    assert one.p99 < 1
    assert one.cost["shop"] > two.cost["shop"] > 0
