"""What users feel when one of three replicas dies, or lives on in silence."""

import pytest

from pytest_enterprise import Availability, Recovery, TimeToDetect, watch

pytestmark = [pytest.mark.failover, pytest.mark.demo]


@pytest.mark.control("SOC2:A1.2", "ISO27001:A.8.14", "HIPAA:164.308(a)(7)(ii)(C)")
@pytest.mark.scenario(
    claim="replica-failover",
    sabotage={"retries_off": "availability-during", "idempotency_off": "doubled"},
)
def test_kill_one_of_three(journey, books, faults, objectives):
    """One of three replicas is killed under load: users hardly notice, and no task is lost or doubled."""
    with journey() as traffic:
        traffic.run_for(2)
        with faults.kill("agent-service-1") as kill:
            traffic.run_for(4)
        traffic.run_for(1)
    objectives.check(
        Availability(at_least=0.995, phase="during"),
        Recovery(within=3.0, since="begin", availability=0.99),
        *books.facts(traffic),
        load=traffic,
        faults=[kill],
    )


@pytest.mark.control("SOC2:A1.2", "ISO27001:A.8.14")
@pytest.mark.scenario(
    claim="silent-replica",
    sabotage={"health_checks_off": "recovery"},
)
def test_pause_a_replica(journey, books, gateway, faults, objectives):
    """One of three replicas stays alive but silent: it is taken out of the routes, and no task is lost or doubled.

    Sooner than its registration ends (3 s), or the registry's lease would be what this shows.
    """
    with journey() as traffic:
        traffic.run_for(2)
        with faults.pause("agent-service-2") as pause:
            noticed = watch(lambda: sum(gateway.endpoints().values()) == 2, timeout=2.5)
            traffic.run_for(3)
        traffic.run_for(1)
    objectives.check(
        Availability(at_least=0.995, phase="during"),
        TimeToDetect(within=2.0, noticed=noticed),
        Recovery(within=2.0, since="begin", availability=0.99, latency=0.4),
        *books.facts(traffic),
        load=traffic,
        faults=[pause],
    )
