"""What users feel when every answer of the database comes late."""

import pytest

from pytest_enterprise import Availability, Latency

pytestmark = [pytest.mark.performance, pytest.mark.demo]


@pytest.mark.control("SOC2:A1.1", "ISO27001:A.8.6")
@pytest.mark.scenario(claim="slow-database", sabotage={"chatty_database": "availability-during"})
def test_300_ms_on_the_database_link(journey, books, faults, objectives):
    """With 300 ms on the database link no request fails, and the slowest in a hundred still ends within 1.5 s."""
    with journey(rate=40) as traffic:
        traffic.run_for(2)
        with faults.latency("agent-service -> postgres", 0.3) as slow:
            traffic.run_for(5)
        traffic.run_for(2)
    objectives.check(
        Availability(at_least=1.0, phase="during"),
        Latency(percentile=99, at_most=1.5, phase="during"),
        *books.facts(traffic),
        load=traffic,
        faults=[slow],
    )
