"""What users feel when load grows and a replica joins in the middle of it."""

import time

import pytest

from pytest_enterprise import Availability, Fact, Latency, Ramp

pytestmark = pytest.mark.performance


def share_of_the_new(gateway, known, seconds):
    """The share of the requests of so many seconds that went to addresses which were not among the known ones."""
    before = gateway.requests()
    time.sleep(seconds)
    sent = {address: count - before.get(address, 0) for address, count in gateway.requests().items()}
    return sum(count for address, count in sent.items() if address not in known) / (sum(sent.values()) or 1)


@pytest.mark.control("SOC2:A1.1", "ISO27001:A.8.6")
@pytest.mark.scenario(claim="scale-out", sabotage={"discovery_stale": "share-of-the-new"})
def test_a_replica_joins_while_load_grows(stack, gateway, journey, books, objectives):
    """From 15 to 60 customers a second in eight seconds, with a fourth replica from the third on: it takes its part."""
    known = set(gateway.endpoints())
    with journey(rate=Ramp(first=15, last=60, over=8, poisson=True)) as traffic:
        traffic.run_for(2)
        added = stack.add("agent-service")
        try:
            traffic.run_for(3)
            share = share_of_the_new(gateway, known, 3)
        finally:
            stack.remove(added)
    objectives.check(
        Availability(at_least=0.995, phase="whole"),
        Latency(percentile=95, at_most=0.5, phase="whole"),
        Fact("share-of-the-new", 100 * share, 10, ">=", "%"),
        *books.facts(traffic),
        load=traffic,
    )
