"""Gateway and service together: an answer that is lost on its way makes no second task."""

import pytest

from pytest_enterprise import Availability

pytestmark = pytest.mark.integration


@pytest.mark.control("SOC2:PI1.3")
@pytest.mark.scenario(
    claim="lost-answers", sabotage={"idempotency_off": "doubled", "retries_off": "availability-during"}
)
def test_answers_lost_between_service_and_gateway(journey, books, faults, objectives):
    """One in twenty answers to POST /tasks is lost after the task was recorded: the gateway asks again, as it may."""
    with journey(rate=100) as traffic:
        traffic.run_for(1)
        with faults.cut_answer("gateway -> agent-service", protocol="http", match="^POST /tasks", share=0.05) as cut:
            traffic.run_for(4)
        traffic.run_for(1)
    objectives.check(
        Availability(at_least=0.995, phase="during"),
        *books.facts(traffic),
        load=traffic,
        faults=[cut],
    )
