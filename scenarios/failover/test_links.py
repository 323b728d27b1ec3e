"""What users feel of links to a replica that come and go, and of a replica that does."""

import pytest

from pytest_enterprise import Availability

pytestmark = pytest.mark.failover


@pytest.mark.control("SOC2:A1.2", "ISO27001:A.8.14")
@pytest.mark.scenario(claim="flapping-link", sabotage={"retries_off": "availability-during"})
def test_a_link_that_flaps(journey, books, faults, objectives):
    """The gateway's link to one replica breaks three times in two seconds: users hardly notice."""
    with journey() as traffic:
        traffic.run_for(1.5)
        with faults.flapping(faults.cut("gateway -> agent-service-1"), on=0.3, off=0.4) as flapping:
            traffic.run_for(4)
        traffic.run_for(1.5)
    objectives.check(
        Availability(at_least=0.995, phase="during"),
        *books.facts(traffic),
        load=traffic,
        faults=[flapping],
    )


@pytest.mark.control("SOC2:A1.2", "ISO27001:A.8.14")
@pytest.mark.scenario(claim="crash-loop", sabotage={"retries_off": "availability-during", "idempotency_off": "doubled"})
def test_a_replica_that_crashes_again_and_again(journey, books, faults, objectives):
    """A replica dies as soon as it serves again: the other two carry the load, and no task is lost or doubled."""
    with journey(rate=80) as traffic:
        traffic.run_for(1.5)
        with faults.crash_loop("agent-service-2", up=0.5) as crashes:
            traffic.run_for(5)
        traffic.run_for(1.5)
    objectives.check(
        Availability(at_least=0.995, phase="during"),
        *books.facts(traffic),
        load=traffic,
        faults=[crashes],
    )
