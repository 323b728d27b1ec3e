"""How many requests the stack can serve before its users notice."""

import time

import pytest

from pytest_enterprise import Availability, Fact, Latency

pytestmark = pytest.mark.performance

ACTIVE = "cluster.agent-service.upstream_rq_active"


@pytest.mark.control("SOC2:A1.1", "ISO27001:A.8.6")
@pytest.mark.scenario(claim="capacity", sabotage={"one_at_a_time": "capacity"})
def test_the_knee(task, stack, gateway, load, scalability, objectives):
    """The highest rate at which 95 % are served within 0.25 s, found by search, is far above an ordinary day's."""
    gateway.wait_for(len(stack.instances("agent-service")))

    def run_at(rate):
        ends = time.monotonic() + 10  # what the last trial left must not count against this one
        while gateway.statistics("upstream_rq_active")[ACTIVE] and time.monotonic() < ends:
            time.sleep(0.05)
        with load.http([task], arrivals=rate) as traffic:
            traffic.run_for(2)
        return traffic

    limit = scalability.limit(
        run_at,
        Availability(at_least=0.95, phase="whole"),
        Latency(percentile=95, at_most=0.25, phase="whole"),
        low=80,
        high=2000,
        within=0.25,
        cpu=stack.cpu_seconds,
    )
    objectives.check(Fact("capacity", limit.rate, 120, ">=", "requests/s", samples=len(limit.steps)))
