"""What is left behind by a steady load."""

import time

import pytest

from pytest_enterprise import Availability, Growth

pytestmark = pytest.mark.performance

JOB = '{job="agent-service"}'


@pytest.mark.parametrize("seconds", [14, pytest.param(120, marks=pytest.mark.nightly)])
@pytest.mark.control("SOC2:A1.1", "SOC2:CC7.2", "ISO27001:A.8.6", "ISO27001:A.8.16")
@pytest.mark.scenario(claim="no-leaks", sabotage={"memory_leak": "memory", "descriptor_leak": "files"})
def test_a_soak_leaves_nothing_behind(seconds, journey, monitoring, books, objectives):
    """Thirty customers a second for a while: no replica takes more and more memory, files or connections for them."""
    with journey(rate=30) as traffic:
        traffic.run_for(3)  # in which pools and caches are filled
        began = time.monotonic()
        traffic.run_for(seconds - 3)
        soaked = time.monotonic() - began
        memory, files, connections = (
            monitoring.sampled(metric + JOB, soaked)
            for metric in ("process_resident_memory_bytes", "process_open_fds", "agent_database_connections")
        )
    objectives.check(
        Availability(at_least=0.99, phase="whole"),
        Growth("memory", memory, 1 << 20, "B"),
        Growth("files", files, 2, "files"),
        Growth("connections", connections, 2, "connections"),
        *books.facts(traffic),
        load=traffic,
    )
