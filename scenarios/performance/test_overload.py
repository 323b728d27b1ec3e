"""What users feel when far more is asked than can be done, and after that."""

import pytest

from pytest_enterprise import Recovery, Refusals, Spike, Throughput

pytestmark = pytest.mark.performance

RATE = 120


@pytest.fixture
def limited(registry):
    """Each replica takes on as much as its connections to the database can carry, and half as much again."""
    registry.put("/config/agent-service/max_tasks", "30")
    yield
    registry.delete("/config/agent-service/max_tasks")


@pytest.mark.control("SOC2:A1.1", "ISO27001:A.8.6")
@pytest.mark.scenario(claim="overload", sabotage={"overload_ignored": "goodput"})
def test_overload_ends_when_it_ends(limited, task, stack, gateway, load, faults, objectives):
    """A database 250 ms away carries 240 tasks a second; asked for 600, all that can be done is done, and soon after
    the overload ends nothing is left of it."""
    gateway.wait_for(len(stack.instances("agent-service")))
    with faults.latency("agent-service -> postgres", 0.25):
        with load.http([task], arrivals=Spike(rate=RATE, peak=5 * RATE, at=2, lasting=3)) as traffic:
            traffic.run_for(9)
    _, overload, _ = traffic.stretches()
    objectives.check(
        Throughput(at_least=RATE, phase="during", name="goodput"),
        Refusals(within=2.0, phase="during"),
        Recovery(within=1.5, since="end", availability=0.95, latency=1.0),
        load=traffic,
        faults=[overload],
    )
