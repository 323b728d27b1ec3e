"""What users feel when the database's network loses some packets and muddles others."""

import pytest

from pytest_enterprise import Availability, Latency

pytestmark = pytest.mark.performance


@pytest.fixture(scope="session")
def enterprise_stack_spec(enterprise_stack_spec):
    """The reference stack, with a database that has a network of its own."""
    return enterprise_stack_spec.with_engine("postgres", packets=True)


@pytest.mark.control("SOC2:A1.1", "ISO27001:A.8.6")
@pytest.mark.scenario(claim="lossy-network", sabotage={"chatty_database": "latency-p90-during"})
def test_the_network_of_the_database_loses_packets(journey, books, faults, objectives):
    """Of what the database sends 3 % is lost, 5 % comes twice and some is overtaken: only few requests wait."""
    with journey(rate=30) as traffic:
        traffic.run_for(1.5)
        with faults.packets("postgres", loss=0.03, duplicate=0.05, delay=0.002, reorder=0.05) as lossy:
            traffic.run_for(8)
        traffic.run_for(1)
    objectives.check(
        Availability(at_least=0.99, phase="during"),
        Latency(percentile=90, at_most=0.15, phase="during"),
        *books.facts(traffic),
        load=traffic,
        faults=[lossy],
    )
