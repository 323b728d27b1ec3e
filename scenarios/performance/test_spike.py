"""What users feel when ten times as many of them come at once."""

import pytest

from pytest_enterprise import Fact, Latency, Recovery, Spike

pytestmark = pytest.mark.performance


@pytest.mark.control("SOC2:A1.1", "ISO27001:A.8.6")
@pytest.mark.scenario(claim="load-spike", sabotage={"one_at_a_time": "recovery"})
def test_ten_times_the_customers(journey, books, objectives):
    """For 1.5 s there are ten times the customers: they are served or refused at once, and then all is as before."""
    with journey(Spike(rate=15, peak=150, at=2, lasting=1.5)) as traffic:
        traffic.run_for(8)
    _, spike, _ = traffic.stretches()
    failures = traffic.records().errors()
    objectives.check(
        Latency(percentile=99, at_most=1.0, of="all", phase="during"),
        Recovery(within=1.0, since="end", availability=0.95, latency=0.3),
        Fact("dishonest", failures.total() - failures["HTTP 503"], 0, "<=", "failures"),
        *books.facts(traffic),
        load=traffic,
        faults=[spike],
    )
