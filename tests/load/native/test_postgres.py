"""The native engine over PostgreSQL, against a real server and against some that misbehave."""

from __future__ import annotations

import time
from collections import Counter
from itertools import pairwise

import psycopg
import pytest

from pytest_enterprise import Link, Postgres, Stack
from pytest_enterprise.errors import ConfigurationError
from pytest_enterprise.faults.session import Faults
from pytest_enterprise.live import LiveStack
from pytest_enterprise.load.arrivals import Constant, Poisson
from pytest_enterprise.load.native.postgres_query import PostgresQuery


@pytest.fixture(scope="module")
def live(new_run):
    spec = Stack([Postgres(name="postgres")], [Link("load", "postgres")])
    with LiveStack(new_run(runtime="process"), spec) as live:
        yield live


@pytest.fixture
def host(live):
    """The database over its link, with two rows in one table."""
    [link] = live.running.resolve_links("load -> postgres")
    host = f"postgresql://postgres@{link.address}/app"
    with psycopg.connect(host, autocommit=True) as connection:
        connection.execute("DROP TABLE IF EXISTS orders")
        connection.execute("CREATE TABLE orders (id serial PRIMARY KEY, what text, many int, UNIQUE (what))")
        connection.execute("INSERT INTO orders (what, many) VALUES ('chair', 3), ('table', NULL)")
    return host


def outcomes(traffic):
    return Counter((record.name, record.error) for record in traffic.records())


def test_statements_are_drawn_sent_and_checked(load, host):
    """Parameters are drawn for each; every statement is committed, at its moment, over few connections."""
    queries = [
        PostgresQuery("INSERT INTO orders (what, many) VALUES (%s, %s)", ["{uuid}", "{int:1:5}"], expect=1, weight=2),
        PostgresQuery("SELECT %s || '%%', id FROM orders WHERE id = 1", ["n{seq}"], name="read", expect=1),
    ]
    with load.postgres(queries, arrivals=Poisson(rate=200), host=host, seconds=1, seed=4) as traffic:
        traffic.run_for(0.8)
        assert 0 < traffic.connections < 30
        traffic.wait(20)
    found = outcomes(traffic)
    assert set(found) == {("PostgreSQL INSERT", ""), ("read", "")}
    assert found["read", ""] > 30
    with psycopg.connect(host) as connection:
        numbers = [many for (many,) in connection.execute("SELECT many FROM orders WHERE id > 2")]
    assert len(numbers) == found["PostgreSQL INSERT", ""]
    assert set(numbers) == {1, 2, 3, 4, 5}
    assert {record.size for record in traffic.records() if record.name == "read"} <= {len("n1%1") + n for n in range(3)}
    assert not traffic.behind


@pytest.mark.parametrize(
    ("query", "error"),
    [
        (PostgresQuery("SELECT what, many FROM orders ORDER BY id", expect=[["chair", 3], ["table", None]]), ""),
        (
            PostgresQuery("SELECT what, many FROM orders ORDER BY id", expect=[["chair", 4], ["table", None]]),
            "wrong: the answer is not the expected one",
        ),
        (PostgresQuery("SELECT id FROM orders", expect=2), ""),
        (PostgresQuery("SELECT id FROM orders", expect=3), "wrong: 2 rows, not 3"),
        (PostgresQuery("UPDATE orders SET many = %s", [None], expect=2), ""),
        (PostgresQuery("SELECT %s::bool", [True], expect=[[True]]), ""),
        (PostgresQuery("INSERT INTO orders (what) VALUES ('chair')"), "SQLSTATE 23505 UniqueViolation"),
        (PostgresQuery("SLECT 1"), "SQLSTATE 42601 SyntaxError"),
        (PostgresQuery("SELECT 1 / (id - 1) FROM orders ORDER BY id DESC"), "SQLSTATE 22012 DivisionByZero"),
        (PostgresQuery("/* hidden */ COPY orders TO STDOUT"), "ProgrammingError"),
        (PostgresQuery("SELECT pg_terminate_backend(pg_backend_pid())"), "SQLSTATE 57P01 AdminShutdown"),
    ],
    ids=lambda value: value.statement if isinstance(value, PostgresQuery) else None,
)
def test_what_was_not_expected_is_a_failed_request_of_its_kind(load, host, query, error):
    with load.postgres([query], arrivals=50, host=host, seconds=0.2) as traffic:
        traffic.wait(20)
    assert outcomes(traffic) == {(query.name, error): 10}
    kept = traffic.unexpected()
    assert len(kept) == (10 if error else 0)
    if error.startswith("SQLSTATE"):
        assert {line["status"] for line in kept} == {error}
        assert all(len(line["sha256"]) == 64 for line in kept)


def test_a_transaction_left_open_is_not_handed_on(load, host):
    """Its connection is ended: what others do on it would be lost with it."""
    queries = [
        PostgresQuery("/* hidden */ BEGIN", name="begin"),
        PostgresQuery("INSERT INTO orders (what) VALUES (%s)", ["{uuid}"], name="own", expect=1),
    ]
    with load.postgres(queries, arrivals=100, host=host, seconds=0.5) as traffic:
        traffic.wait(20)
    found = outcomes(traffic)
    assert set(found) == {("begin", ""), ("own", "")}
    with psycopg.connect(host) as connection:
        assert connection.execute("SELECT count(*) - 2 FROM orders").fetchone() == (found["own", ""],)


def test_a_large_answer_comes_whole(load, host):
    """More than one read, and more parameters than the kernel takes at once."""
    queries = [
        PostgresQuery("SELECT repeat('x', 1000) FROM generate_series(1, 3000)", expect=3000),
        PostgresQuery("SELECT length(%s)", ["y" * 3_000_000], name="long", expect=[[3_000_000]]),
    ]
    with load.postgres(queries, arrivals=Constant(rate=20), host=host, seconds=0.6) as traffic:
        traffic.wait(20)
    assert set(outcomes(traffic)) == {("PostgreSQL SELECT", ""), ("long", "")}
    assert {record.size for record in traffic.records() if record.name != "long"} == {3_000_000}


def test_an_endless_answer_is_given_up_in_bounded_memory(load, host):
    query = PostgresQuery("SELECT repeat('x', 1000) FROM generate_series(1, 10000000)")
    with load.postgres([query], arrivals=Constant(rate=1), host=host, seconds=0.5) as traffic:
        traffic.wait(30)
    assert outcomes(traffic) == {("PostgreSQL SELECT", "answer over 67,108,864 bytes"): 1}


def test_a_statement_that_takes_too_long_fails_at_its_time_limit(load, host):
    """Counted from its intended moment; others are not held up."""
    queries = [PostgresQuery("SELECT pg_sleep(30)", name="sleep"), PostgresQuery("SELECT 1", expect=[[1]])]
    with load.postgres(queries, arrivals=Constant(rate=40), host=host, seconds=1, timeout=0.5) as traffic:
        traffic.wait(20)
    found = outcomes(traffic)
    assert set(found) == {("sleep", "TimeoutError"), ("PostgreSQL SELECT", "")}
    assert found.total() == 40
    assert all(0.5 <= record.latency < 1.5 for record in traffic.records() if record.error)


def test_a_lock_makes_them_wait_and_all_who_waited_are_counted(load, host):
    """The open loop: while nothing is answered, statements go out as before, each counted from its own moment."""
    query = PostgresQuery("UPDATE orders SET many = many + 1 WHERE id = 1", expect=1)
    with load.postgres([query], arrivals=Constant(rate=50), host=host) as traffic:
        traffic.wait_for_requests(10)
        with psycopg.connect(host) as connection:
            connection.execute("LOCK TABLE orders")
            traffic.run_for(1)
            answered = traffic.requests
            during = connection.execute("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'")
            assert during.fetchone()[0] > 25
        traffic.wait_for_requests(answered + 80)
    assert {record.error for record in traffic.records()} == {""}
    waited = sorted(record.latency for record in traffic.records())[-40:]
    assert waited[-1] > 0.9
    assert max(later - earlier for earlier, later in pairwise(waited)) < 0.4
    assert not traffic.behind


def test_a_link_that_is_cut_costs_what_was_under_way(load, live, host):
    """And what comes then fails as lost connections; all is well again when the link is back."""
    faults = Faults(live, "test")
    queries = [PostgresQuery("SELECT pg_sleep(0.1)", name="sleep"), PostgresQuery("SELECT 1")]
    with load.postgres(queries, arrivals=Constant(rate=60), host=host) as traffic:
        traffic.wait_for_requests(20)
        with faults.cut("load -> postgres"):
            traffic.run_for(0.5)
        traffic.wait_for_requests(traffic.requests + 40)
    faults.close()
    kinds = Counter(record.error for record in traffic.records())
    assert set(kinds) <= {"", "ConnectionClosed", "unfinished"}
    assert kinds["ConnectionClosed"] > 15
    assert [record.error for record in traffic.records() if record.error != "unfinished"][-10:] == [""] * 10


def test_connections_that_are_idle_when_the_server_ends_them_cost_nothing(load, host):
    """It says so, and is believed."""
    with load.postgres([PostgresQuery("SELECT 1")], arrivals=Constant(rate=5), host=host) as traffic:
        for _ in range(4):
            traffic.wait_for_requests(traffic.requests + 1)
            time.sleep(0.03)
            with psycopg.connect(host, autocommit=True) as connection:
                connection.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE application_name = 'pytest-enterprise load' AND state = 'idle'"
                )
        traffic.wait_for_requests(traffic.requests + 2)
    kinds = Counter(record.error for record in traffic.records())
    assert kinds[""] >= kinds.total() - 1, "one at most was sent just as its connection ended"


def test_a_refused_connection_is_a_failed_request(load, run):
    host = f"postgresql://postgres@127.0.0.1:{run.ports.take()}/app"
    with load.postgres([PostgresQuery("SELECT 1")], arrivals=100, host=host, seconds=0.2) as traffic:
        traffic.wait(20)
    assert outcomes(traffic) == {("PostgreSQL SELECT", "ConnectionRefusedError"): 20}


def test_a_database_that_does_not_exist_is_told_in_the_servers_words(load, host):
    host = host.replace("/app", "/nowhere")
    with load.postgres([PostgresQuery("SELECT 1")], arrivals=50, host=host, seconds=0.2) as traffic:
        traffic.wait(20)
    assert outcomes(traffic) == {("PostgreSQL SELECT", 'FATAL database "nowhere" does not exist'): 10}


@pytest.mark.parametrize(("speech", "error"), [(b"", "ConnectionClosed"), (None, "TimeoutError")])
def test_a_server_that_hangs_up_or_never_says_anything_is_told(load, answering, speech, error):
    host = f"postgresql://postgres@{answering(speech)}/app"
    with load.postgres([PostgresQuery("SELECT 1")], arrivals=50, host=host, seconds=0.2, timeout=0.3) as traffic:
        traffic.wait(20)
    assert outcomes(traffic) == {("PostgreSQL SELECT", error): 10}


def test_a_setting_of_the_url_that_does_not_exist_is_told_by_begin(load):
    with pytest.raises(ConfigurationError, match=r"the host's URL cannot be used: .*colour"):
        load.postgres([PostgresQuery("SELECT 1")], arrivals=1, host="postgresql://127.0.0.1:1/a?colour=red").begin()
