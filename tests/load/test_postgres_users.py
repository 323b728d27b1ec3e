"""Users of PostgreSQL against a real server, over a link that faults can disturb."""

from __future__ import annotations

import psycopg
import pytest

from pytest_enterprise import Link, Postgres, Stack
from pytest_enterprise.faults.session import Faults
from pytest_enterprise.live import LiveStack
from pytest_enterprise.load.recorder import UNFINISHED

USERS = """
from locust import task
from pytest_enterprise.load.postgres_users import PostgresUser

class Clerk(PostgresUser):
    rate = 30
    time_limit = 0.5
    @task
    def work(self):
        {work}
"""


@pytest.fixture(scope="module")
def live(new_run):
    spec = Stack([Postgres(name="postgres")], [Link("load", "postgres")])
    with LiveStack(new_run(runtime="process"), spec) as live:
        yield live


@pytest.fixture
def faults(live):
    faults = Faults(live, "test")
    yield faults
    faults.close()


@pytest.fixture
def host(live):
    """The database over its link, with one table in it."""
    [link] = live.running.resolve_links("load -> postgres")
    host = f"postgresql://postgres@{link.address}/app"
    with psycopg.connect(host, autocommit=True) as connection:
        connection.execute("DROP TABLE IF EXISTS orders")
        connection.execute("CREATE TABLE orders (id serial PRIMARY KEY, what text UNIQUE)")
    return host


@pytest.fixture
def work(host, load, locustfile):
    def work(text, users=1, host=host):
        return load(locustfile(USERS.format(work=text)), users=users, host=host)

    return work


def errors(traffic):
    return {(r.name, r.error) for r in traffic.records() if r.error != UNFINISHED}


def count(host):
    with psycopg.connect(host) as connection:
        return connection.execute("SELECT count(*) FROM orders").fetchone()[0]


def test_statements_are_recorded_by_their_first_word(work, host):
    """Rows are the answer's value; what was acknowledged is in the table."""
    text = """made = self.client.execute("insert into orders (what) values (%s)", [f"{self.random.random()}"])
        self.acknowledged("x", status=made.status)
        self.client.execute("SELECT 'ab', 12", name="fixed", expect=[("ab", 12)])"""
    with work(text, users=3) as traffic:
        traffic.wait_for_requests(30)
    assert errors(traffic) == {("PostgreSQL INSERT", ""), ("PostgreSQL fixed", "")}
    assert {o["status"] for o in traffic.operations()} == {"INSERT 0 1"}
    assert count(host) >= len(traffic.operations()) > 10
    assert {r.size for r in traffic.records() if r.name == "PostgreSQL fixed"} == {4}


def test_waiting_for_the_server_holds_up_nobody_else(work):
    """Ten users wait half a second each at the same time: psycopg yields while it waits."""
    with work('self.client.execute("SELECT pg_sleep(0.3)")', users=10) as traffic:
        traffic.wait_for_requests(20, timeout=5)
    overlapping = sorted((r.start, r.end) for r in traffic.records() if not r.error)
    assert overlapping
    assert sum(start < overlapping[0][1] for start, _ in overlapping) >= 5


def test_a_transaction_is_one_request_and_is_rolled_back_when_it_fails(work, host):
    text = """def sell(connection):
            connection.execute("INSERT INTO orders (what) VALUES ('a')")
            connection.execute("INSERT INTO orders (what) VALUES ('a')")
        self.client.transaction(sell, name="sell twice")
        self.client.transaction(lambda c: c.execute("SELECT 1").fetchone()[0], name="one", expect=1)"""
    with work(text) as traffic:
        traffic.wait_for_requests(6)
    assert errors(traffic) == {
        ("PostgreSQL sell twice", "SQLSTATE 23505 UniqueViolation"),
        ("PostgreSQL one", ""),
    }
    assert count(host) == 0


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ('self.client.execute("SELECT nothing")', "SQLSTATE 42703 UndefinedColumn"),
        ('self.client.execute("SELECT 1", expect=[(2,)])', "wrong: the answer is not the expected one"),
        ('self.client.execute("SELECT pg_sleep(9)")', "TimeoutError"),
        ('self.client.execute("SELECT pg_terminate_backend(pg_backend_pid())")', "SQLSTATE 57P01 AdminShutdown"),
    ],
)
def test_failures_are_recorded_by_kind(work, text, error):
    """The server's refusals by SQLSTATE, an answer that is not in time as such; the next one has a good connection."""
    with work(f"{text}\n        self.client.execute('SELECT 1', name='good', expect=[(1,)])") as traffic:
        traffic.wait_for_requests(6)
    assert errors(traffic) == {("PostgreSQL SELECT", error), ("PostgreSQL good", "")}
    assert len(traffic.unexpected()) == traffic.failures


def test_a_database_that_is_not_there_is_refused(work, host):
    with work("self.client.execute('SELECT 1')", host=host.replace("/app", "/other")) as traffic:
        traffic.wait_for_requests(2)
    assert errors(traffic) == {("PostgreSQL SELECT", 'FATAL database "other" does not exist')}


def test_a_link_that_is_cut_in_the_middle(work, faults):
    """Statements under way and those after them fail as lost connections, and all is well once the link is back."""
    with work('self.client.execute("SELECT pg_sleep(0.05)")', users=3) as traffic:
        traffic.wait_for_requests(10)
        with faults.cut("load -> postgres"):
            traffic.run_for(0.7)
        traffic.wait_for_requests(traffic.requests + 10)
    kinds = [r.error for r in traffic.records()]
    assert set(kinds) <= {"", "ConnectionClosed", "ConnectionResetError", "ConnectionRefusedError", UNFINISHED}
    assert kinds.count("ConnectionClosed") >= 3
    assert kinds[0] == ""
    assert "" in kinds[max(at for at, kind in enumerate(kinds) if kind == "ConnectionClosed") :]
