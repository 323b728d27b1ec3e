"""The running service: its answers, and what it does while the database and the registry are away."""

import concurrent.futures
import http.client
import json
import socket
import time
import uuid
from pathlib import Path

import pytest
from agent_service.digests import content_digest

from pytest_enterprise import Etcd, Link, Postgres, Service, Stack
from pytest_enterprise.faults.session import Faults
from pytest_enterprise.live import LiveStack
from pytest_enterprise.session import system

FIXTURES = Path(__file__).parents[2] / "fixtures"
COMMAND = (
    *("{python}", "-m", "agent_service", "--name={name}", "--listen={bind}:{port}", "--advertise={address}"),
    *("--database=postgresql://postgres@{link[postgres]}/app", "--registry={link[etcd]}", "--ttl=2"),
)


@pytest.fixture(scope="module")
def live(new_run):
    spec = Stack(
        [
            Postgres(name="postgres"),
            Etcd(name="etcd"),
            Service(
                name="agent-service",
                command=COMMAND,
                ready_path="/ready",
                patient=True,
                env={"PYTHONPATH": str(FIXTURES)},
            ),
        ],
        [Link("agent-service", "postgres"), Link("agent-service", "etcd"), Link("load", "agent-service")],
    )
    with LiveStack(new_run(runtime="process"), spec) as live:
        yield live


@pytest.fixture
def faults(live):
    faults = Faults(live, "test")
    yield faults
    faults.close()


@pytest.fixture
def ask(live):
    def ask(method, path, body=None, **headers):
        connection = http.client.HTTPConnection(str(live.address("agent-service")), timeout=10)
        text = body if isinstance(body, (bytes, type(None))) else json.dumps(body).encode()
        connection.request(method, path, text, {name.replace("_", "-"): value for name, value in headers.items()})
        answer = connection.getresponse()
        told = answer.read()
        connection.close()
        try:
            return answer.status, json.loads(told), answer.headers
        except ValueError:
            return answer.status, told.decode(), answer.headers

    return ask


def until(condition, limit=8.0):
    ends = time.monotonic() + limit
    while not condition():
        assert time.monotonic() < ends, "it did not happen in time"
        time.sleep(0.02)


def key():
    return str(uuid.uuid4())


def test_a_task_is_carried_out_stored_and_found_again(ask):
    mine = key()
    status, task, _ = ask("POST", "/tasks", {"goal": "what is 6 * 7"}, Idempotency_Key=mine)
    assert (status, task["result"]) == (201, "42")
    assert ask("GET", f"/tasks/{task['id']}")[:2] == (200, task)
    assert ask("GET", f"/tasks?key={mine}")[1] == {"tasks": [task]}
    assert ask("GET", "/tasks?limit=1")[1]["tasks"] == [task]


def test_the_same_key_is_the_same_task_and_another_task_is_refused(ask):
    mine = key()
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        told = list(pool.map(lambda _: ask("POST", "/tasks", {"goal": "1 + 1"}, Idempotency_Key=mine), range(8)))
    assert sorted(status for status, _, _ in told) == [200] * 7 + [201]
    assert len({task["id"] for _, task, _ in told}) == 1
    assert ask("POST", "/tasks", {"goal": "1 + 2"}, Idempotency_Key=mine)[0] == 422


def test_a_body_that_its_digest_does_not_fit_is_refused(ask):
    body = json.dumps({"goal": "1 + 1"}).encode()
    right = content_digest(body)
    for digest, status in ((right, 201), (f"md5=:abcd:, {right}", 201), (content_digest(b"other"), 400), ("?", 400)):
        assert ask("POST", "/tasks", body, Idempotency_Key=key(), Content_Digest=digest)[0] == status


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b"{", {"Idempotency_Key": "12345678"}, 400),
        ({"goal": "x"}, {}, 400),
        ({"goal": "x"}, {"Idempotency_Key": "short"}, 400),
        ([], {"Idempotency_Key": "12345678"}, 422),
        ({"goal": "x", "other": 1}, {"Idempotency_Key": "12345678"}, 422),
        ({"goal": "1/0", "plan": [{"tool": "calculator", "input": "1/0"}]}, {"Idempotency_Key": "12345678"}, 422),
        (b" " * 70_000, {"Idempotency_Key": "12345678"}, 413),
    ],
)
def test_bad_tasks_are_refused_with_a_reason(ask, body, headers, status):
    told, answer, _ = ask("POST", "/tasks", body, **headers)
    assert told == status
    assert len(answer["error"]) > 10


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/tasks/nonsense", 404),
        (f"/tasks/{uuid.UUID(int=0)}", 404),
        ("/tasks?limit=0", 422),
        ("/tasks?limit=x", 422),
        ("/other", 404),
    ],
)
def test_what_is_not_there(ask, path, status):
    assert ask("GET", path)[0] == status


def test_an_answer_leaves_in_one_piece(live):
    """Else a replica that is killed between head and body leaves a user with half an answer."""
    with socket.create_connection(live.address("agent-service", "http"), timeout=5) as client:
        for _ in range(50):
            client.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
            assert b'"alive"' in client.recv(65536)


def test_health_and_metrics(ask):
    assert ask("GET", "/health")[1] == {"name": "agent-service", "status": "alive"}
    assert ask("GET", "/ready")[0] == 200
    assert ask("POST", "/tasks", {"goal": "1"}, Idempotency_Key=key())[0] == 201
    status, text, _ = ask("GET", "/metrics")
    assert status == 200
    assert 'agent_requests_total{method="POST",route="/tasks",status="201"}' in text


def test_a_database_that_is_away_is_told_within_a_second_and_back_soon(ask, faults):
    ask("POST", "/tasks", {"goal": "1 + 1"}, Idempotency_Key=key())
    with faults.cut("agent-service -> postgres"):
        for _ in range(5):
            began = time.monotonic()
            status, answer, headers = ask("POST", "/tasks", {"goal": "1 + 1"}, Idempotency_Key=key())
            assert (status, headers["Retry-After"]) == (503, "1")
            assert "storage" in answer["error"]
            assert time.monotonic() - began < 1.5
        assert ask("GET", "/ready")[0] == 200
    until(lambda: ask("GET", "/tasks")[0] == 200, 3)


def test_a_silent_database_is_told_within_a_second(ask, faults):
    with faults.blackhole("agent-service -> postgres"):
        began = time.monotonic()
        assert ask("GET", "/tasks")[0] == 503
        assert time.monotonic() - began < 1.5
    until(lambda: ask("GET", "/tasks")[0] == 200, 10)


def test_registered_under_a_lease_and_gone_after_a_stop_in_good_order(live):
    registry = system("registry", live)
    until(lambda: "agent-service" in registry.services("agent-service"))
    assert registry.services("agent-service")["agent-service"] == str(live.address("agent-service", "http"))
    added = live.add("agent-service")
    until(lambda: added in registry.services("agent-service"))
    began = time.monotonic()
    live.remove(added)
    assert added not in registry.services("agent-service")
    assert time.monotonic() - began < 5
    added = live.add("agent-service")
    until(lambda: added in registry.services("agent-service"))
    live.kill(added)
    assert added in registry.services("agent-service")
    until(lambda: added not in registry.services("agent-service"), 6)
    live.remove(added)


def test_limits_and_switches_are_followed_while_it_runs(live, ask):
    registry = system("registry", live)
    registry.put("/config/agent-service/max_steps", "1")
    plan = [{"tool": "calculator", "input": "1"}] * 2
    until(lambda: ask("POST", "/tasks", {"goal": "x", "plan": plan}, Idempotency_Key=key())[0] == 422)
    registry.delete("/config/agent-service/max_steps")
    until(lambda: ask("POST", "/tasks", {"goal": "x", "plan": plan}, Idempotency_Key=key())[0] == 201)
    registry.switch("idempotency_off", True)
    mine = key()
    until(lambda: [ask("POST", "/tasks", {"goal": "1"}, Idempotency_Key=mine)[0] for _ in range(2)] == [201, 201])
    registry.switch("idempotency_off", False)
    other = key()
    until(lambda: ask("POST", "/tasks", {"goal": "1"}, Idempotency_Key=other)[0] == 200)


def test_it_goes_on_without_its_registry(ask, faults):
    with faults.kill("etcd"):
        time.sleep(1)
        assert ask("POST", "/tasks", {"goal": "2 + 2"}, Idempotency_Key=key())[0] == 201
