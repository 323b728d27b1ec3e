from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

LOCUSTFILE = Path(__file__).parents[2] / "loadtests" / "agent_service.py"


def fake(server):
    """Make the tiny server answer as the agent service does."""
    tasks = {}

    def answer(method, path, head, body):
        if method == "POST":
            key = next(
                line[17:] for line in head.decode().split("\r\n") if line.lower().startswith("idempotency-key: ")
            )
            if server.refuse:
                server.refuse -= 1
                return 503, b"{}"
            known = key in tasks
            if not known or server.forgetful:
                numbers = [int(n) for n in body["plan"][0]["input"].replace("*(", " ").replace("+", " ")[:-1].split()]
                product = numbers[0] * (numbers[1] + numbers[2]) + server.error
                tasks[key] = {"id": f"t{len(tasks)}-{known}", "steps": [{"output": product}]}
            return 200 if known else 201, json.dumps(tasks[key]).encode()
        if path.startswith("/tasks?"):
            return 200, b"[]"
        found = [t for t in tasks.values() if path == f"/tasks/{t['id']}"]
        return (200, json.dumps(found[0]).encode()) if found else (404, b"{}")

    server.task, server.tasks = answer, tasks
    server.refuse, server.error, server.forgetful = 0, 0, False
    return server


def test_a_journey_hands_in_reads_back_and_lists(serve, load):
    """Every task that was acknowledged is one the service recorded, and all answers were right."""
    server = fake(serve("tasks"))
    options = {"rate": 20, "replay": 0.3, "browse": 0.3}
    with load(LOCUSTFILE, users=4, host=server.url, options=options) as traffic:
        traffic.wait_for_requests(100)
    assert {(r.name, r.error) for r in traffic.records()} == {
        ("POST /tasks", ""),
        ("GET /tasks/{id}", ""),
        ("GET /tasks", ""),
    }
    operations = traffic.operations()
    assert {o["status"] for o in operations} == {"ok"}
    assert {o["key"] for o in operations} == set(server.tasks)
    assert len(operations) == len(server.tasks)


def test_a_refused_task_is_handed_in_again_with_its_key(serve, load):
    """A 503 is a failed request, and the same key is used until the service acknowledges it."""
    server = fake(serve("tasks"))
    server.refuse = 2
    with load(LOCUSTFILE, users=1, host=server.url, options={"rate": 20}) as traffic:
        traffic.wait_for_requests(10)
    assert [r.error for r in traffic.records()][:3] == ["HTTP 503", "HTTP 503", ""]
    assert {o["status"] for o in traffic.operations()} == {"ok"}


def test_a_task_never_acknowledged_is_unknown(serve, load):
    """After the last try, what became of the task is unknown to its client."""
    server = fake(serve("tasks"))
    server.refuse = 4
    with load(LOCUSTFILE, users=1, host=server.url, options={"rate": 20}) as traffic:
        traffic.wait_for_requests(6)
    assert [o["status"] for o in traffic.operations()][:2] == ["unknown", "ok"]


def test_wrong_answers_are_failures(serve, load):
    """A wrong result, and a replay that makes a second task, count as failed requests."""
    server = fake(serve("tasks"))
    server.error, server.forgetful = 1, True
    with load(LOCUSTFILE, users=2, host=server.url, options={"rate": 20, "replay": 0.5}) as traffic:
        traffic.wait_for_requests(30)
    errors = {(r.name, r.error) for r in traffic.records() if r.error}
    assert ("GET /tasks/{id}", "wrong: not the result of its plan") in errors
    assert any(name == "POST /tasks (replay)" for name, _ in errors)


def test_it_runs_under_plain_locust(serve, tmp_path):
    """`locust -f loadtests/agent_service.py --headless` works as it is."""
    server = fake(serve("tasks"))
    command = (sys.executable, "-m", "locust", "-f", str(LOCUSTFILE), "--headless", "--host", server.url)
    done = subprocess.run(
        (*command, "--users", "3", "--spawn-rate", "3", "--rate", "10", "--run-time", "2", "--only-summary"),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=30,
    )
    told = done.stdout + done.stderr
    assert done.returncode == 0, told
    lines = re.findall(r"^(GET|POST) +(\S+) +(\d+) +(\d+)\(", told, re.MULTILINE)
    reads = [(int(count), failed) for _, name, count, failed in lines if name == "/tasks/{id}"]
    assert reads, told
    assert reads[0][0] > 5
    assert reads[0][1] == "0"
    assert any(path.startswith("GET /tasks/t") for path in server.counts)
