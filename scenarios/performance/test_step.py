"""What users feel while there are more and more of them."""

import pytest

from pytest_enterprise import Availability, Latency, Step, Throughput

pytestmark = pytest.mark.performance

RATES = (40, 80, 160)


@pytest.mark.control("SOC2:A1.1", "ISO27001:A.8.6")
@pytest.mark.scenario(claim="load-steps", sabotage={"one_at_a_time": "done-at-40"})
def test_load_that_doubles(journey, books, objectives):
    """The customers double every four seconds: each step is quick, and what is asked in it gets done."""
    with journey(Step(rates=RATES, each=4)) as traffic:
        traffic.wait()
    for rate, step in zip(RATES, traffic.stretches(), strict=True):
        objectives.check(
            Availability(at_least=0.99, phase="during", name=f"served-at-{rate}"),
            Latency(percentile=95, at_most=0.3, phase="during", name=f"quick-at-{rate}"),
            Throughput(at_least=0.9 * rate, endpoint="POST /tasks", phase="during", name=f"done-at-{rate}"),
            load=traffic,
            faults=[step],
        )
    objectives.check(*books.facts(traffic), load=traffic)
