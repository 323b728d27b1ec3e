"""What users feel when the database cannot be reached, and how soon all is well again."""

import pytest

from pytest_enterprise import Recovery, Refusals

pytestmark = [pytest.mark.failover, pytest.mark.demo]


@pytest.mark.control("SOC2:A1.2", "SOC2:CC7.5", "ISO27001:A.8.14")
@pytest.mark.scenario(
    claim="database-cut",
    sabotage={"hang_on_database": "refusals-during", "slow_reconnect": "recovery", "early_ack": "lost"},
)
def test_database_cut_for_3_s(journey, books, faults, objectives):
    """With no database for 3 s, refusals are quick and honest, and all is well within 2 s of its return."""
    with journey(rate=60) as traffic:
        traffic.run_for(2)
        with faults.cut("agent-service -> postgres") as cut:
            traffic.run_for(3)
        traffic.run_for(4)
    objectives.check(
        Refusals(within=1.0, phase="during"),
        Recovery(within=2.0, since="end", availability=0.99),
        *books.facts(traffic),
        load=traffic,
        faults=[cut],
    )
