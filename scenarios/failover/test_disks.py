"""What becomes of acknowledged tasks when the database's disk loses power or fills up."""

import contextlib

import psycopg
import pytest

from pytest_enterprise import Recovery, Refusals

pytestmark = pytest.mark.failover


@pytest.fixture(scope="session")
def enterprise_stack_spec(enterprise_stack_spec):
    """The reference stack, with a disk under the database whose faults can be played."""
    return enterprise_stack_spec.with_engine("postgres", disk=True)


@pytest.mark.control("SOC2:A1.2", "SOC2:PI1.5", "ISO27001:A.8.14", "HIPAA:164.312(c)(1)")
@pytest.mark.scenario(claim="power-failure", sabotage={"commits_unsynced": "lost"})
def test_the_database_host_loses_power(journey, books, faults, objectives):
    """What was not synced is gone, and no acknowledged task is among it; users are served soon after the restart."""
    books.command("CHECKPOINT")  # what was written before the load is not the question
    with journey(rate=40) as traffic:
        traffic.run_for(2)
        with faults.power_failure("postgres") as failure:
            pass
        traffic.run_for(4)
    objectives.check(
        Recovery(within=2.0, since="end", availability=0.99),
        *books.facts(traffic),
        load=traffic,
        faults=[failure],
    )


@pytest.mark.control("SOC2:A1.1", "SOC2:CC7.5", "ISO27001:A.8.6")
@pytest.mark.scenario(claim="disk-full", sabotage={"early_ack": "lost"})
def test_the_disk_of_the_database_is_full(journey, books, faults, objectives):
    """For 3 s nothing can grow: refusals are quick and honest, and all is well within 3 s of room."""
    with journey(rate=40) as traffic:
        traffic.run_for(2)
        with faults.disk_full("postgres") as full:
            with contextlib.suppress(psycopg.OperationalError):
                books.command("SELECT pg_switch_wal()")  # its log goes on in a new file, which cannot be made
            traffic.run_for(3)
        traffic.run_for(5)
    objectives.check(
        Refusals(within=1.0, phase="during"),
        Recovery(within=3.0, since="end", availability=0.99),
        *books.facts(traffic),
        load=traffic,
        faults=[full],
    )
