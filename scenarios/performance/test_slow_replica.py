"""What users feel when one of three replicas answers far too late."""

import pytest

from pytest_enterprise import Availability, Latency

pytestmark = pytest.mark.performance


@pytest.mark.control("SOC2:A1.1", "ISO27001:A.8.6")
@pytest.mark.scenario(claim="slow-replica", sabotage={"retries_off": "availability-during"})
def test_a_slow_replica_is_contained(journey, books, faults, objectives):
    """One replica takes each request 5 s late: the gateway gives up on it after half a second and asks another."""
    with journey(rate=40) as traffic:
        traffic.run_for(1.5)
        with faults.http("gateway -> agent-service-1", route="/tasks", delay=5.0) as slow:
            traffic.run_for(5)
        traffic.run_for(1.5)
    objectives.check(
        Availability(at_least=0.99, phase="during"),
        Latency(percentile=95, at_most=1.2, phase="during"),
        *books.facts(traffic),
        load=traffic,
        faults=[slow],
    )
