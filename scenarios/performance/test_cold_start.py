"""What users feel while a new replica starts."""

import time

import pytest

from pytest_enterprise import Availability, Latency
from pytest_enterprise.objectives import Window

pytestmark = pytest.mark.performance


@pytest.mark.control("SOC2:A1.1", "ISO27001:A.8.6")
@pytest.mark.scenario(claim="cold-start", sabotage={"serves_early": "availability-during"})
def test_a_replica_starts_under_load(stack, journey, books, objectives):
    """A fourth replica starts while the other three serve: none of its first requests fails or waits for it."""
    with journey(rate=60) as traffic:
        traffic.run_for(1.5)
        began = time.monotonic_ns()
        added = stack.add("agent-service")
        try:
            traffic.run_for(3)
            start = Window("cold-start", "start", added, began, time.monotonic_ns())
            traffic.run_for(1)
        finally:
            stack.remove(added)
    objectives.check(
        Availability(at_least=1.0, phase="during"),
        Latency(percentile=95, at_most=0.3, phase="during"),
        *books.facts(traffic),
        load=traffic,
        faults=[start],
    )
