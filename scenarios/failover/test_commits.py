"""What becomes of tasks whose commit nobody hears of: they are recorded once, and acknowledged in the end."""

import pytest

pytestmark = pytest.mark.failover


@pytest.mark.control("SOC2:PI1.3", "SOC2:A1.2")
@pytest.mark.scenario(claim="ambiguous-commit", sabotage={"idempotency_off": "doubled"})
def test_commits_that_nobody_hears_of(journey, books, faults, objectives):
    """One in twenty connections to the database breaks after the task was stored and before the service knows."""
    with journey(rate=40) as traffic:
        traffic.run_for(1)
        with faults.cut_answer(
            "agent-service -> postgres", protocol="postgres", match="INSERT INTO tasks", share=0.05
        ) as cut:
            traffic.run_for(4)
        traffic.run_for(2)
    objectives.check(
        *books.facts(traffic),
        load=traffic,
        faults=[cut],
    )
