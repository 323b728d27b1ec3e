"""What strangers learn from answers to wrong and failing requests."""

import http.client
import re

import pytest

from pytest_enterprise import Fact

pytestmark = pytest.mark.security

INTERNALS = re.compile(
    r"Traceback|File \"|\.py\b|psycopg|postgres|SELECT |INSERT |asyncpg|uvicorn|starlette|127\.0\.0\.1|10\.\d+\.\d+",
    re.IGNORECASE,
)

KEY = {"Idempotency-Key": "scenario-errors-1"}
WRONG = [
    ("POST", "/tasks", b"{", KEY),
    ("POST", "/tasks", b"[]", KEY),
    ("POST", "/tasks", b'{"goal": 5}', KEY),
    ("POST", "/tasks", b'{"goal": "x", "plan": [{"tool": "shell", "input": "id"}]}', KEY),
    ("POST", "/tasks", b'{"goal": "x", "plan": [{"tool": "calculator", "input": "__import__(1)"}]}', KEY),
    ("POST", "/tasks", b'{"goal": "x"}', {}),
    ("POST", "/tasks", b'{"goal": "' + b"x" * 70_000 + b'"}', KEY),
    ("GET", "/tasks?limit=%27%20OR%201=1", None, {}),
    ("GET", "/tasks/%27%3B%20DROP%20TABLE%20tasks", None, {}),
    ("GET", "/tasks/00000000-0000-0000-0000-000000000000", None, {}),
    ("DELETE", "/tasks", None, {}),
    ("GET", "/../../etc/passwd", None, {}),
]


def ask(gateway, method, path, body, headers):
    connection = http.client.HTTPConnection(gateway.url.removeprefix("http://"), timeout=5)
    connection.request(method, path, body, headers)
    answer = connection.getresponse()
    text = answer.read().decode(errors="replace")
    shown = {name: value for name, value in answer.getheaders() if name.lower() != "date"}
    connection.close()
    return answer.status, f"{text} {shown}"


@pytest.mark.control("SOC2:CC6.1", "ISO27001:A.8.26", kind="classification")
@pytest.mark.scenario(claim="errors-reveal-nothing", sabotage={"verbose_errors": "revealing"})
def test_errors_reveal_no_internals(stack, gateway, faults, objectives):
    """Wrong requests, and good ones while the database is away, are refused without a word about the inside."""
    gateway.wait_for(len(stack.instances("agent-service")))
    answers = [ask(gateway, *request) for request in WRONG]
    with faults.cut("agent-service -> postgres") as cut:
        answers += [ask(gateway, "GET", "/tasks", None, {}) for _ in range(6)]
    objectives.check(
        Fact("asked", len(answers), len(WRONG) + 6, ">=", "requests"),
        Fact("accepted", sum(status < 400 for status, _ in answers), 0, "<=", "requests"),
        Fact("crashed", sum(status == 500 for status, _ in answers), 0, "<=", "requests"),
        Fact("refused-for-the-database", sum(status == 503 for status, _ in answers), 1, ">=", "requests"),
        Fact("revealing", sum(bool(INTERNALS.search(text)) for _, text in answers), 0, "<=", "answers"),
        faults=[cut],
    )
