"""User classes outside the ``load`` fixture, and where what they need is missing."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from pytest_enterprise.errors import ConfigurationError

USERS = """
from locust import task
from pytest_enterprise.load.tcp_users import TcpUser

class Asker(TcpUser):
    rate = 20
    @task
    def ask(self):
        self.client.ask(b"hello\\n", name="hello", expect=b"hello\\n")
        self.client.ask(b"hello\\n", name="wrong", expect=b"bye\\n")
"""


async def echo(reader, writer, server):
    while line := await reader.readline():
        writer.write(line)


@pytest.mark.parametrize("loop", [("--users", "3"), ("--users", "1", "--arrivals", "40")])
def test_a_protocol_under_plain_locust(serve, locustfile, tmp_path, loop):
    """`locust -f` shows its requests and failures in its own tables, in either loop."""
    server = serve("", echo)
    command = (sys.executable, "-m", "locust", "-f", str(locustfile(USERS)), "--headless", "--only-summary")
    done = subprocess.run(
        (*command, "--host", f"tcp://{server.address}", *loop, "--run-time", "2"),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
    )
    told = done.stdout + done.stderr
    counts = {name: (int(n), int(failed)) for name, n, failed in re.findall(r"TCP +(\w+) +(\d+) +(\d+)\(", told)}
    assert counts["hello"][0] > 10, told
    assert counts["hello"][1] == 0
    assert counts["wrong"][1] == counts["wrong"][0] > 10
    assert "the answer is not the expected one" in told


@pytest.mark.parametrize(
    ("module", "library", "extra", "use"),
    [
        ("redis_users", "hiredis", "redis", ""),
        ("postgres_users", "psycopg", "postgres", ""),
        ("grpc_users", "grpc", "grpc", ""),
        ("openapi_users", "schemathesis", "openapi", "m.openapi_user('x.json')"),
    ],
)
def test_a_library_that_is_missing_is_told_with_its_extra(load, locustfile, module, library, extra, use):
    """When the load begins, with the command that installs it."""
    text = f"import sys\nsys.modules[{library!r}] = None\nimport pytest_enterprise.load.{module} as m\n{use}\n"
    with pytest.raises(ConfigurationError, match=rf"not installed: pip install 'pytest-enterprise\[{extra}\]'"):
        load(locustfile(text), users=1, host="http://127.0.0.1:1").begin()
