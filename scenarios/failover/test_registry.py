"""What users feel when the registry has trouble: nothing, and the routes still follow the replicas."""

import time

import pytest

from pytest_enterprise import Availability, Fact

pytestmark = pytest.mark.failover

TTL = 3


def seconds_until(condition, limit):
    """Seconds until ``condition`` holds; ``limit`` when it does not."""
    began = time.monotonic()
    while time.monotonic() - began < limit:
        if condition():
            return time.monotonic() - began
        time.sleep(0.02)
    return limit


def routes_follow(stack, registry, gateway):
    """Seconds until a replica added now serves, and until a killed one has left the routes."""
    count = len(gateway.endpoints())
    added = stack.add("agent-service")
    try:
        serving = seconds_until(lambda: sum(gateway.endpoints().values()) == count + 1, 10)
        stack.kill(added)
        leaving = seconds_until(lambda: len(gateway.endpoints()) == count, 10)
    finally:
        stack.remove(added)
        registry.delete(f"/services/agent-service/{added}")  # what a sabotaged one leaves for ever
    return (
        Fact("added-serves", serving, 3.0, "<=", "s"),
        Fact("dead-leaves", leaving, TTL + 1.0, "<=", "s"),
    )


@pytest.mark.demo
@pytest.mark.control("SOC2:A1.2", "ISO27001:A.8.14")
@pytest.mark.scenario(
    claim="registry-failover",
    sabotage={"discovery_stale": "added-serves", "no_lease": "dead-leaves"},
)
def test_kill_the_etcd_leader(stack, registry, gateway, journey, books, faults, objectives):
    """The registry loses its leader: no request fails, a new replica serves soon, a dead one leaves the routes."""
    with journey() as traffic:
        traffic.run_for(1.5)
        with faults.kill(registry.leader()) as kill:
            facts = routes_follow(stack, registry, gateway)
        traffic.run_for(1)
    objectives.check(
        Availability(at_least=1.0, phase="during"),
        *facts,
        *books.facts(traffic),
        load=traffic,
        faults=[kill],
    )


@pytest.mark.demo
@pytest.mark.control("SOC2:A1.2", "ISO27001:A.8.14")
@pytest.mark.scenario(
    claim="registry-partition",
    sabotage={"discovery_stale": "added-serves", "no_lease": "dead-leaves"},
)
def test_partition_one_etcd_peer(stack, registry, gateway, journey, books, faults, objectives):
    """One member of the registry is cut off from the other two: no request fails, and the routes still follow."""
    apart = registry.leader()
    others = [name for name in stack.instances("etcd") if name != apart]
    with journey() as traffic:
        traffic.run_for(1.5)
        with faults.partition(apart, others) as partition:
            facts = routes_follow(stack, registry, gateway)
        traffic.run_for(1)
    objectives.check(
        Availability(at_least=1.0, phase="during"),
        *facts,
        *books.facts(traffic),
        load=traffic,
        faults=[partition],
    )


@pytest.mark.control("SOC2:A1.2", "ISO27001:A.8.14")
@pytest.mark.scenario(
    claim="registry-without-leader", sabotage={"discovery_stale": "added-serves", "no_lease": "dead-leaves"}
)
def test_a_ring_in_which_nobody_can_lead(stack, registry, gateway, journey, books, faults, objectives):
    """Each member of the registry hears only one other: no request fails meanwhile, and soon after routes follow."""
    with journey() as traffic:
        traffic.run_for(1.5)
        with faults.topology("etcd", "ring") as ring:
            traffic.run_for(2)
        facts = routes_follow(stack, registry, gateway)
    objectives.check(
        Availability(at_least=1.0, phase="during"),
        *facts,
        *books.facts(traffic),
        load=traffic,
        faults=[ring],
    )
