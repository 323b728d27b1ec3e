"""What users feel, and what a replica keeps, when each request comes over a connection of its own."""

import pytest

from pytest_enterprise import Availability, Expect, Fact, HttpRequest, Latency, Poisson

pytestmark = pytest.mark.performance

REQUESTS = [
    HttpRequest(
        "POST",
        "/tasks",
        json={"goal": "work out {int:1:999} + {int:1:999}"},
        headers={"Idempotency-Key": "{uuid}"},
        expect=Expect(status=201),
    ),
    HttpRequest("GET", "/tasks?limit=5", expect=Expect(contains='"tasks"')),
]
OPEN = "http.users.downstream_cx_active"
"""Envoy's count of connections from users."""


@pytest.mark.control("SOC2:A1.1", "ISO27001:A.8.6")
@pytest.mark.scenario(claim="connection-churn", sabotage={"connections_leaked": "descriptors-left"})
def test_each_request_opens_a_connection(stack, gateway, load, descriptors, objectives):
    """A hundred connections a second, half of them straight to one replica: none fails, and none leaves anything."""
    gateway.wait_for(len(stack.instances("agent-service")))
    before = descriptors("agent-service-1")
    churn = {"arrivals": Poisson(rate=50), "keep_alive": False}
    with load.http(REQUESTS, host=gateway.url, **churn) as outside:
        with load.http(REQUESTS, host=stack.url("agent-service-1"), **churn) as inside:
            inside.run_for(8)
    left = descriptors("agent-service-1", at_most=before + 60) - before
    objectives.check(
        Availability(at_least=0.995, phase="whole"),
        Latency(percentile=99, at_most=0.25, phase="whole"),
        Fact("connections-left", gateway.statistics(OPEN)[OPEN], 10, "<=", "connections", samples=outside.requests),
        Fact("descriptors-left", left, 60, "<=", "descriptors", samples=inside.requests),
        load=[outside, inside],
    )
