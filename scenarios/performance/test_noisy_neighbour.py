"""What users feel when one client asks for far more than its share."""

import pytest

from pytest_enterprise import Availability, Expect, Fact, HttpRequest, Latency

pytestmark = pytest.mark.performance

FLOOD = HttpRequest(
    "POST",
    "/tasks",
    json={"goal": "find it", "plan": [{"tool": "search", "input": f"words of task {n}"} for n in range(20)]},
    headers={"X-Client": "greedy", "Idempotency-Key": "greedy-{int:1:50}"},
    name="flood",
    expect=Expect(status=(200, 201)),
)


@pytest.mark.control("SOC2:A1.1", "ISO27001:A.8.6")
@pytest.mark.scenario(claim="noisy-neighbour", sabotage={"client_limit_off": "availability-whole"})
def test_one_client_floods_the_service(gateway, load, journey, books, objectives):
    """One client hands in 500 laborious tasks a second: most of them are refused, and the customers hardly notice."""
    with load.http([FLOOD], arrivals=500, host=gateway.url) as flood:
        flood.run_for(1)
        with journey(rate=50) as traffic:
            traffic.run_for(8)
    refused = sum(request.error == "HTTP 429" for request in flood.records())
    objectives.check(
        Availability(at_least=0.995, phase="whole"),
        Latency(percentile=95, at_most=0.25, phase="whole"),
        Fact("refused", 100 * refused / (flood.requests or 1), 60, ">=", "%", samples=flood.requests),
        *books.facts(traffic),
        load=traffic,
    )
