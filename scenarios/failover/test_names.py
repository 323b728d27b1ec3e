"""What users feel when names cannot be resolved any more."""

import pytest

from pytest_enterprise import Availability, Recovery

pytestmark = pytest.mark.failover


@pytest.fixture(scope="session")
def enterprise_stack_spec(enterprise_stack_spec):
    """The reference stack, with replicas that dial the database and the registry by name."""
    return enterprise_stack_spec.with_engine("agent-service", names=True)


@pytest.mark.control("SOC2:A1.2", "ISO27001:A.8.14")
@pytest.mark.scenario(claim="names-fail", sabotage={"names_forgotten": "availability-during"})
def test_names_fail(journey, books, faults, objectives):
    """No replica can resolve names, and its database connections break: it goes on with the addresses it knows."""
    with journey(rate=60) as traffic:
        traffic.run_for(1.5)
        with faults.dns("agent-service", "servfail") as names:
            with faults.reset("agent-service -> postgres"):
                pass
            traffic.run_for(4)
        traffic.run_for(3)
    objectives.check(
        Availability(at_least=0.99, phase="during"),
        Recovery(within=2.0, since="end", availability=0.99),
        *books.facts(traffic),
        load=traffic,
        faults=[names],
    )
