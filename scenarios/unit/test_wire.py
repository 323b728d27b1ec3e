"""A promise of the service about one request: what was damaged on its way is not taken for what was sent."""

import base64
import contextlib
import hashlib
import http.client
import json
import random
import socket
import uuid
from urllib.parse import urlsplit

import pytest

from pytest_enterprise import Fact

pytestmark = pytest.mark.unit

REQUESTS = 60


@pytest.mark.control("SOC2:PI1.2", "SOC2:PI1.3", "HIPAA:164.312(e)(2)(i)")
@pytest.mark.scenario(claim="damage-on-the-wire", sabotage={"digest_ignored": "damaged"})
def test_damage_on_the_wire_is_never_recorded(stack, gateway, books, faults, objectives):
    """Bits of requests flip between client and gateway: a task is refused, or recorded as it was sent."""
    gateway.wait_for(len(stack.instances("agent-service")))
    drawn = random.Random(stack.run.seed)
    batch = uuid.UUID(int=drawn.getrandbits(128)).hex
    # Marked at both ends, so that no single damage hides whose it was.
    goals = [f"{batch} {''.join(drawn.choices('abcdefghij ', k=1800))} {batch}" for _ in range(REQUESTS)]
    host = urlsplit(gateway.url)
    accepted = 0
    with faults.corruption("load -> gateway", bits=1, direction="upstream"):
        for goal in goals:
            body = json.dumps({"goal": goal, "plan": [{"tool": "calculator", "input": "6*7"}]}).encode()
            digest = base64.b64encode(hashlib.sha256(body).digest()).decode()
            head = (
                f"POST /tasks HTTP/1.1\r\nHost: {host.netloc}\r\nConnection: close\r\n"
                f"Idempotency-Key: {uuid.uuid4()}\r\n"
                f"Content-Digest: sha-256=:{digest}:\r\nContent-Length: {len(body)}\r\n\r\n"
            )
            try:
                with socket.create_connection((host.hostname, host.port), timeout=5) as connection:
                    # In one piece: a second one would lose a bit of its own, perhaps of the name Content-Digest.
                    connection.sendall(head.encode() + body)
                    with contextlib.closing(http.client.HTTPResponse(connection)) as answer:
                        answer.begin()
                        accepted += answer.status == 201
            except (http.client.HTTPException, OSError):
                pass  # so damaged that it was no request at all
    recorded = {goal for (goal,) in books.query("SELECT goal FROM tasks WHERE length(goal) > 1500")}
    ours = {goal for goal in recorded if goal.startswith(batch) or goal.endswith(batch)}
    objectives.check(
        Fact("damaged", len(ours - set(goals)), 0, "<=", "tasks"),
        Fact("refused", REQUESTS - accepted, REQUESTS // 2, ">=", "tasks"),
    )
