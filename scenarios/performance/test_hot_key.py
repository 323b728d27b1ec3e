"""What users feel when many of them want the same few tasks at once."""

import uuid

import pytest

from pytest_enterprise import Availability, Expect, Fact, HttpRequest, Latency, Poisson

pytestmark = pytest.mark.performance

KEYS = 5


@pytest.mark.control("SOC2:A1.1", "SOC2:PI1.3", "ISO27001:A.8.6")
@pytest.mark.scenario(
    claim="hot-key", sabotage={"rows_locked": "availability-whole", "idempotency_off": "recorded-once"}
)
def test_many_customers_and_the_same_few_tasks(stack, gateway, load, books, objectives):
    """Five tasks, handed in and read 120 times a second from the first moment on: each is recorded once."""
    gateway.wait_for(len(stack.instances("agent-service")))
    word = f"hot-{uuid.uuid4()}"
    key = f"{word}-{{int:1:{KEYS}}}"
    requests = [
        HttpRequest(
            "POST",
            "/tasks",
            json={"goal": "6 * 7"},
            headers={"Idempotency-Key": key},
            expect=Expect(status=(200, 201), json={"result": "42"}),
        ),
        HttpRequest("GET", f"/tasks?key={key}", name="GET /tasks?key", expect=Expect(contains='"tasks"')),
    ]
    with load.http(requests, arrivals=Poisson(rate=120), host=gateway.url) as traffic:
        traffic.run_for(6)
    recorded = [count for key, count in books.recorded().items() if key.startswith(word)]
    objectives.check(
        Availability(at_least=0.995, phase="whole"),
        Latency(percentile=99, at_most=0.5, phase="whole"),
        Fact("recorded", len(recorded), KEYS, ">=", "tasks"),
        Fact("recorded-once", max(recorded, default=0), 1, "<=", "times"),
        load=traffic,
    )
