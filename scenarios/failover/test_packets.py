"""What users feel when the network of a replica loses most packets: little, and no task is done twice."""

import pytest

from pytest_enterprise import Availability, Latency, Recovery

pytestmark = pytest.mark.failover


@pytest.fixture(scope="session")
def enterprise_stack_spec(enterprise_stack_spec):
    """The reference stack, with replicas that have networks of their own."""
    return enterprise_stack_spec.with_engine("agent-service", packets=True)


@pytest.mark.control("SOC2:A1.2", "ISO27001:A.8.14", "ISO27001:A.8.20")
@pytest.mark.scenario(claim="lossy-replica", sabotage={"idempotency_off": "doubled"})
def test_a_lossy_replica_is_contained(journey, books, faults, objectives):
    """Of what one replica sends, 60 % is lost: the gateway asks another, though the first may have done the task."""
    with journey(rate=60) as traffic:
        traffic.run_for(1.5)
        with faults.packets("agent-service-1", loss=0.6, delay=0.002, reorder=0.02) as lossy:
            traffic.run_for(6)
        traffic.run_for(3)
    objectives.check(
        Availability(at_least=0.98, phase="during"),
        Latency(percentile=95, at_most=1.2, phase="during"),
        Recovery(within=3.0, since="end", availability=0.99),
        *books.facts(traffic),
        load=traffic,
        faults=[lossy],
    )
