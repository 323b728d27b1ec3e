"""The smallest promise of the service, asked of the running one: the same key, the same task."""

import json
import time
import urllib.error
import urllib.request
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest

from pytest_enterprise import Fact

pytestmark = pytest.mark.unit


def hand_in(url, key, goal, tries=3):
    """The task's id; as an honest client, it comes again when it is asked to."""
    request = urllib.request.Request(
        f"{url}/tasks", json.dumps({"goal": goal}).encode(), {"Idempotency-Key": key}, method="POST"
    )
    try:
        with urllib.request.urlopen(request, timeout=5) as answer:
            return json.load(answer)["id"]
    except urllib.error.HTTPError as refusal:
        if refusal.code != 503 or tries == 1:
            raise
        time.sleep(float(refusal.headers.get("Retry-After", 1)))
    return hand_in(url, key, goal, tries - 1)


@pytest.mark.control("SOC2:PI1.3")
@pytest.mark.scenario(claim="idempotency", sabotage={"idempotency_off": "doubled"})
def test_same_key_is_recorded_once(stack, gateway, books, objectives):
    """Forty keys, each handed in eight times at once through the gateway, make forty tasks."""
    gateway.wait_for(len(stack.instances("agent-service")))
    keys = [str(uuid.uuid4()) for _ in range(40)]
    with ThreadPoolExecutor(16) as pool:
        told = list(pool.map(lambda key: hand_in(gateway.url, key, "work out 6 * 7"), keys * 8))
    answers = {key: {told[index] for index in range(place, len(told), len(keys))} for place, key in enumerate(keys)}
    recorded = books.recorded()
    objectives.check(
        Fact("missing", sum(key not in recorded for key in keys), 0, "<=", "keys"),
        Fact("doubled", sum(recorded.get(key, 0) > 1 for key in keys), 0, "<=", "keys"),
        Fact("contradictory", sum(len(ids) > 1 for ids in answers.values()), 0, "<=", "keys"),
    )
