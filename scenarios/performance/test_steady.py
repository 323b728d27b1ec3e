"""What users feel on an ordinary day."""

import pytest

from pytest_enterprise import Throughput

pytestmark = pytest.mark.performance


@pytest.mark.control("SOC2:A1.1", "ISO27001:A.8.6")
@pytest.mark.scenario(claim="steady-performance", sabotage={"slow_tools": "requests-quick"})
def test_steady_load(journey, books, objectives):
    """A hundred customers a second for five seconds: none fails, and the slowest in a hundred ends within 0.25 s."""
    with journey() as traffic:
        traffic.run_for(5)
    objectives.check(
        "scenarios/performance/steady.slo.yaml",
        Throughput(at_least=100, phase="whole"),
        *books.facts(traffic),
        load=traffic,
    )
