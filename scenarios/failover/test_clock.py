"""What users feel when the clock of a replica is set: nothing, and it stays in the routes."""

import time

import pytest

from pytest_enterprise import Availability, Fact

pytestmark = pytest.mark.failover

TTL = 3
HOUR = 3600


@pytest.fixture(scope="session")
def enterprise_stack_spec(enterprise_stack_spec):
    """The reference stack, with clocks of the replicas that can be set."""
    return enterprise_stack_spec.with_engine("agent-service", clock=True)


def fewest_serving(gateway, seconds):
    """The least number of healthy replicas seen in so many seconds."""
    ends = time.monotonic() + seconds
    fewest = len(gateway.endpoints())
    while time.monotonic() < ends:
        fewest = min(fewest, sum(gateway.endpoints().values()))
        time.sleep(0.05)
    return fewest


@pytest.mark.control("SOC2:A1.2", "ISO27001:A.8.17", "ISO27001:A.8.14")
@pytest.mark.scenario(claim="clock-jump", sabotage={"wall_clock": "serving"})
def test_a_clock_jumps_across_the_lease(stack, gateway, journey, books, faults, objectives):
    """A replica's clock jumps an hour back, then ahead: its lease goes on, and no request fails."""
    replicas = len(stack.instances("agent-service"))
    with journey(rate=40) as traffic:
        traffic.run_for(1.5)
        with faults.clock("agent-service:one", offset=-HOUR) as back:
            fewest = fewest_serving(gateway, TTL + 2)
        with faults.clock("agent-service:one", offset=HOUR) as ahead:
            fewest = min(fewest, fewest_serving(gateway, TTL + 2))
        traffic.run_for(1)
    objectives.check(
        Availability(at_least=1.0, phase="during"),
        Fact("serving", fewest, replicas, ">=", "replicas"),
        *books.facts(traffic),
        load=traffic,
        faults=[back, ahead],
    )
