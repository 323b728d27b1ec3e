"""Whether damage to the database's files is ever passed off as an answer."""

import json
import urllib.error
import urllib.request
from collections import Counter

import pytest

from pytest_enterprise import Fact

pytestmark = pytest.mark.security


def ask(url, number):
    """What the service answers for a task: its status, or ``wrong`` when it is another task's."""
    try:
        with urllib.request.urlopen(f"{url}/tasks/{number}", timeout=5) as answer:
            return answer.status if json.load(answer)["id"] == str(number) else "wrong"
    except urllib.error.HTTPError as refusal:
        return refusal.code


@pytest.mark.control("SOC2:CC7.1", "ISO27001:A.8.13", "HIPAA:164.312(c)(1)", kind="processing")
@pytest.mark.scenario(claim="damage-is-told", sabotage={"damage_ignored": "missing"})
def test_a_damaged_page_is_never_an_answer(stack, gateway, journey, books, faults, objectives):
    """Bits flip in the file of the tasks: nobody is told that a task is missing, and all come back with the file."""
    with journey(rate=40) as traffic:
        traffic.run_for(1.5)
    tasks = [number for (number,) in books.query("SELECT id FROM tasks ORDER BY recorded_at DESC LIMIT 300")]
    books.command("CHECKPOINT")
    [(path,)] = books.query("SELECT pg_relation_filepath('tasks')")
    gateway_ready = len(stack.instances("agent-service"))
    with faults.rot("postgres", f"**/{path}", bytes=100) as rot:
        gateway.wait_for(gateway_ready)
        damaged = Counter(ask(gateway.url, number) for number in tasks)
    gateway.wait_for(gateway_ready)
    after = Counter(ask(gateway.url, number) for number in tasks)
    objectives.check(
        Fact("asked", len(tasks), 50, ">=", "tasks"),
        Fact("refused", damaged[500] + damaged[503], 1, ">=", "tasks"),
        Fact("missing", damaged[404], 0, "<=", "tasks", detail=f"while damaged: {dict(damaged)}"),
        Fact("wrong", damaged["wrong"], 0, "<=", "tasks"),
        Fact("not-back", len(tasks) - after[200], 0, "<=", "tasks", detail=f"afterwards: {dict(after)}"),
        load=traffic,
        faults=[rot],
    )
