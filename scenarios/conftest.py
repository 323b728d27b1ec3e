"""What the scenarios share: what the database really holds, and the journey that loads the stack."""

import re
import time
import urllib.request

import psycopg
import pytest

from pytest_enterprise import Expect, Fact, HttpRequest, Poisson
from pytest_enterprise.load.arrivals import Arrivals
from pytest_enterprise.session import system

JOURNEY = "loadtests/agent_service.py"


DATABASE_SWITCHES = {
    "damage_ignored": {"zero_damaged_pages": "on"},
    "commits_unsynced": {"synchronous_commit": "off", "wal_writer_delay": "10s"},
}
"""Switches of the database itself, and the settings that each changes; all others are keys in the registry."""


def pytest_enterprise_switch(stack, switch, on):
    if switch not in DATABASE_SWITCHES:
        if on:  # a switch breaks what works: the stack must have come to be whole before
            stack.ensure()
            system("gateway", stack).wait_for(len(stack.instances("agent-service")))
        return None
    stack.ensure("postgres")
    books = Books(stack)
    for setting, value in DATABASE_SWITCHES[switch].items():
        books.command(f"ALTER SYSTEM SET {setting} = '{value}'" if on else f"ALTER SYSTEM RESET {setting}")
    books.command("SELECT pg_reload_conf()")
    return True


class Books:
    """The tasks that the service recorded, read from PostgreSQL itself."""

    def __init__(self, stack):
        address = stack.address("postgres")
        self._dsn = f"host={address.host} port={address.port} user=postgres dbname=app"

    def query(self, sql):
        with psycopg.connect(self._dsn) as connection:
            return connection.execute(sql).fetchall()

    def command(self, sql):
        """Run a statement that must stand alone."""
        with psycopg.connect(self._dsn, autocommit=True) as connection:
            connection.execute(sql)

    def recorded(self):
        """How often each idempotency key was recorded."""
        return dict(self.query("SELECT idempotency_key, count(*) FROM tasks GROUP BY idempotency_key"))

    def facts(self, traffic):
        """Two facts for every scenario: no acknowledged task is lost, none is recorded twice."""
        operations = traffic.operations()
        acknowledged = {entry["key"] for entry in operations if entry["status"] == "ok"}
        recorded = self.recorded()
        return (
            Fact("acknowledged", len(acknowledged), 1, ">=", "tasks"),
            Fact("lost", len(acknowledged - recorded.keys()), 0, "<=", "tasks"),
            Fact("doubled", sum(recorded.get(entry["key"], 0) > 1 for entry in operations), 0, "<=", "keys"),
        )


@pytest.fixture
def books(stack):
    return Books(stack)


@pytest.fixture
def task():
    """One task as the native engine hands it in, where no user's journey is needed."""
    return HttpRequest(
        "POST",
        "/tasks",
        json={"goal": "work out {int:1:9999} times 7", "plan": [{"tool": "calculator", "input": "{int:1:9999}*7"}]},
        headers={"Idempotency-Key": "{uuid}"},
        expect=Expect(status=201),
    )


@pytest.fixture
def journey(stack, gateway, load):
    """Starts the journey once every replica serves; the load is what a test uses in a ``with`` statement.

    ``rate`` customers arrive per second, independently of each other and of how long the earlier ones have to wait; or
    give a pattern of arrivals.
    """
    gateway.wait_for(len(stack.instances("agent-service")))

    def start(rate=100, **options):
        return load(JOURNEY, arrivals=rate if isinstance(rate, Arrivals) else Poisson(rate=rate), **options)

    return start


@pytest.fixture
def descriptors(stack):
    """Tells how many descriptors a replica has open, by its own figures; until it is ``at_most`` so many, for 5 s."""

    def count(instance, at_most=float("inf")):
        ends = time.monotonic() + 5
        while True:
            with urllib.request.urlopen(stack.url(instance, "/metrics"), timeout=5) as answer:
                found = re.search(r"^process_open_fds (.+)$", answer.read().decode(), re.MULTILINE)
            if float(found[1]) <= at_most or time.monotonic() > ends:
                return float(found[1])
            time.sleep(0.1)

    return count
