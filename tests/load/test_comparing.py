"""Two versions by alternating blocks: how they are run, what blocks may give, what a test sees of it."""

import time

import pytest

from pytest_enterprise.errors import ConfigurationError
from pytest_enterprise.load.blocks import as_block, load_block, timed
from pytest_enterprise.load.comparing import Compare, order
from pytest_enterprise.load.records import Request
from pytest_enterprise.objectives import ObjectiveBroken, ObjectiveNotJudged, Objectives


@pytest.fixture
def events():
    return []


@pytest.fixture
def compare(events):
    def emit(kind, **fields):
        events.append({"kind": kind, **fields})

    return Compare(seed=3, test="t", emit=emit, objectives=Objectives(emit, "t"))


def steady(value, calls=None, name=""):
    """A block of one value, which notes that it ran."""

    def block():
        if calls is not None:
            calls.append(name)
        return [value * 0.999, value, value * 1.001]

    return block


def test_blocks_alternate_and_each_side_is_first_as_often():
    firsts = list(order(40, 7))
    assert sum(firsts) == 20
    assert all(one != other for one, other in zip(firsts[::2], firsts[1::2], strict=True))
    assert firsts == list(order(40, 7))
    assert firsts != list(order(40, 8))


def test_both_sides_run_in_each_pair(compare):
    calls = []
    compare(steady(1.0, calls, "a"), steady(1.0, calls, "b"), blocks=6)
    assert calls[:2] == ["a", "b"]
    assert [set(calls[at : at + 2]) for at in range(2, 14, 2)] == [{"a", "b"}] * 6
    assert len(calls) == 14


def test_a_regression_fails_the_test_and_tells_how_much(compare, events):
    found = compare(steady(1.0), steady(1.1))
    assert [result.outcome for result in found.regressions] == ["regression"]
    with pytest.raises(ObjectiveBroken, match="no-regression-median"):
        found.check()
    (judged,) = [event for event in events if event["kind"] == "comparison.judged"]
    assert judged["ratio"] == pytest.approx(1.1)
    assert judged["blocks"] == ((1.0, 1.1),) * 12
    assert sorted(judged["first"]) == ["a"] * 6 + ["b"] * 6
    assert [event["outcome"] for event in events if event["kind"] == "objective.judged"] == ["broken"]


def test_no_change_passes_and_too_few_blocks_do_not(compare):
    compare(steady(1.0), steady(1.001)).check()
    with pytest.raises(ObjectiveNotJudged, match="6 needed"):
        compare(steady(1.0), steady(2.0), blocks=3, metric="mean").check()


def test_each_endpoint_is_judged_with_a_correction(compare):
    a = lambda: {"GET /": [1.0], "POST /": [2.0]}  # noqa: E731
    b = lambda: {"GET /": [1.0], "POST /": [2.4]}  # noqa: E731
    found = compare(a, b, endpoints="each")
    assert [(r.endpoint, r.outcome) for r in found.results] == [("GET /", "no change"), ("POST /", "regression")]
    assert found.of("median", "GET /").confidence == pytest.approx(0.995)
    with pytest.raises(ConfigurationError, match="median of GET /"):
        found.of("median", "GET /x")
    with pytest.raises(ConfigurationError, match=r"named 'GET /x'.*GET /"):
        compare(a, b, endpoints=["GET /x"])


def test_a_side_that_fails_is_not_called_faster(compare):
    def requests(latency, error):
        return [Request(number * 1000, latency, "GET /", error if number % 10 == 0 else "", 2) for number in range(50)]

    found = compare(lambda: requests(0.02, ""), lambda: requests(0.001, "HTTP 500")).results[0]
    assert found.outcome == "not decided"
    assert "b failed 60 of 600 requests" in found.detail


def test_a_generator_that_falls_behind_decides_nothing(compare):
    """Its own delay would be called the side's."""

    class Behind:
        started, stopped = 0, 1_000_000_000

        def __init__(self, behind):
            self.behind = behind

        def records(self):
            return [Request(number, 0.02, "GET /", "", 2) for number in range(50)]

    found = compare(lambda: Behind(""), lambda: Behind("9 of 10 arrivals were not made")).results[0]
    assert found.outcome == "not decided"
    assert found.detail == "the generator of b fell behind in 12 of 12 blocks: 9 of 10 arrivals were not made"


def test_what_a_block_may_return():
    assert as_block(0.5, 1).samples["all"] == [0.5]
    assert as_block([3, 1, 2], 1).samples["all"] == [1, 2, 3]
    assert as_block({"x": [2], "y": [1]}, 1).samples["all"] == [1, 2]
    for wrong in (None, "text", object()):
        with pytest.raises(ConfigurationError, match="a block returned"):
            as_block(wrong, 1)


def test_calls_are_timed_one_by_one():
    block = timed(lambda: time.sleep(0.002), seconds=0.05)()
    assert 2 <= len(block.samples["all"]) <= 25
    assert min(block.samples["all"]) >= 0.002
    assert block.cpu_seconds is not None


def test_blocks_of_load_against_two_servers(compare, load, locustfile, serve):
    """Real load on a server and on one of another port: everything that an engine gives is in the blocks."""
    one, other = serve(), serve()
    cpu = iter(range(1000))
    file = locustfile(rate=50)
    blocks = [
        load_block(load, file, host=server.url, users=2, seconds=0.4, settle=0.1, cpu=lambda: {"shop": next(cpu)})
        for server in (one, other)
    ]
    found = compare(*blocks, metric=["median", "throughput", "cpu"], blocks=2, warm_up=0)
    assert one.total > 40
    assert other.total > 40
    assert [result.metric for result in found.results] == ["median", "throughput", "cpu"]
    assert all(value and value > 0 for result in found.results for pair in result.blocks for value in pair)
    assert 50 < found.of("throughput").blocks[0][0] < 150
