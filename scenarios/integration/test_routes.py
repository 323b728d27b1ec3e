"""Registry, discovery and gateway together: what is registered serves, and what leaves is missed by nobody."""

import pytest

from pytest_enterprise import Availability, Fact

pytestmark = pytest.mark.integration


@pytest.mark.control("SOC2:A1.1", "ISO27001:A.8.6")
@pytest.mark.scenario(claim="new-replica-serves", sabotage={"discovery_stale": "share-of-the-new"})
def test_a_new_replica_takes_traffic(stack, gateway, journey, books, objectives):
    """A fourth replica takes its share under load and leaves again in good order; no request fails."""
    with journey(rate=60) as traffic:
        traffic.run_for(1)
        added = stack.add("agent-service")
        try:
            traffic.run_for(3)
        finally:
            stack.remove(added)
        traffic.run_for(1)
    ours = {entry["key"] for entry in traffic.operations() if entry["status"] == "ok"}
    by = [who for key, who in books.query("SELECT idempotency_key, recorded_by FROM tasks") if key in ours]
    objectives.check(
        Availability(at_least=0.995, phase="whole"),
        Fact("share-of-the-new", 100 * by.count(added) / (len(by) or 1), 5, ">=", "%"),
        Fact("left-behind", len(gateway.endpoints()) - len(stack.instances("agent-service")), 0, "<=", "endpoints"),
        *books.facts(traffic),
        load=traffic,
    )
