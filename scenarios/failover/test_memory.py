"""What users feel when a replica has no memory left."""

import pytest

from pytest_enterprise import Availability, Recovery

pytestmark = pytest.mark.failover


@pytest.mark.control("SOC2:A1.1", "SOC2:A1.2", "ISO27001:A.8.6", "ISO27001:A.8.14")
@pytest.mark.scenario(claim="memory-pressure", sabotage={"retries_off": "availability-during"})
def test_a_replica_runs_out_of_memory(journey, books, faults, objectives):
    """Somebody takes the memory of one replica until the kernel ends it, in the middle of what it does."""
    with journey() as traffic:
        traffic.run_for(1.5)
        with faults.memory("agent-service:one", more=8 << 20, press=True) as pressure:
            traffic.run_for(3)
        traffic.run_for(1.5)
    objectives.check(
        Availability(at_least=1.0, phase="during"),
        Recovery(within=3.0, since="begin", availability=0.99),
        *books.facts(traffic),
        load=traffic,
        faults=[pressure],
    )
