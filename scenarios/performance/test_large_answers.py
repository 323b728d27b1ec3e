"""What users feel when some of them ask for very long answers."""

import hashlib
import json
import urllib.request
import uuid

import pytest

from pytest_enterprise import Correctness, Expect, Fact, HttpRequest, Latency, Poisson

pytestmark = pytest.mark.performance

TASKS = 100
SECONDS = 8
STEPS = [f"Step {number} of a long plan. {'It has many words. ' * 520}"[:9900] for number in range(6)]


@pytest.fixture
def tasks(stack, gateway, books):
    """A hundred tasks of nearly the largest size; taken away afterwards, lest they be in every list."""
    gateway.wait_for(len(stack.instances("agent-service")))
    word = f"large-{uuid.uuid4()}"
    plan = [{"tool": "summarise", "input": text} for text in STEPS]
    made = []
    for number in range(TASKS):
        body = json.dumps({"goal": f"task {number}", "plan": plan}).encode()
        request = urllib.request.Request(
            f"{gateway.url}/tasks", body, {"Idempotency-Key": f"{word}-{number}", "Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            made.append(json.load(answer))
    assert all(task["plan"] == plan for task in made)
    yield made
    chosen = f"SELECT id FROM tasks WHERE idempotency_key LIKE '{word}-%'"
    books.command(f"DELETE FROM memories WHERE task_id IN ({chosen})")
    books.command(f"DELETE FROM tasks WHERE id IN ({chosen})")


@pytest.mark.control("SOC2:A1.1", "SOC2:PI1.4", "ISO27001:A.8.6")
@pytest.mark.scenario(
    claim="large-answers",
    sabotage={"answers_cut": "correctness-whole-long", "blocking_lists": "latency-p95-whole-small"},
)
def test_long_lists_beside_small_requests(gateway, load, tasks, objectives):
    """Five lists of 6 MB a second arrive whole and right, and forty small requests a second beside them are quick."""
    text = json.dumps({"tasks": tasks[::-1]}, ensure_ascii=False, separators=(",", ":")).encode()
    long = HttpRequest(
        "GET", f"/tasks?limit={TASKS}", name="long", expect=Expect(sha256=hashlib.sha256(text).hexdigest())
    )
    small = HttpRequest("GET", f"/tasks/{tasks[0]['id']}", name="small", expect=Expect(json={"goal": "task 0"}))
    with load.http([long], arrivals=5, host=gateway.url) as lists:
        with load.http([small], arrivals=Poisson(rate=40), host=gateway.url) as others:
            others.run_for(SECONDS)
    megabytes = sum(request.size for request in lists.records() if not request.error) / 1e6
    objectives.check(
        Fact("size", len(text) / 1e6, 5, ">=", "MB"),
        Correctness(at_least=0.9, phase="whole", endpoint="long"),
        Fact("throughput", megabytes / SECONDS, 15, ">=", "MB/s", samples=lists.requests),
        Latency(percentile=90, at_most=1, phase="whole", endpoint="long"),
        Latency(percentile=95, at_most=0.5, phase="whole", endpoint="small"),
        load=[lists, others],
    )
