"""The native engine over Redis, against a real server and against some that misbehave."""

from __future__ import annotations

import hashlib
import signal
from collections import Counter
from itertools import pairwise

import pytest

from pytest_enterprise.load.arrivals import Constant, Poisson
from pytest_enterprise.load.native.redis_command import RedisCommand


def outcomes(traffic):
    return Counter((record.name, record.error) for record in traffic.records())


def test_commands_are_drawn_sent_and_checked(load, redis):
    """In the database that the host names, after its password; each at its moment, over few connections."""
    commands = [
        RedisCommand("SET", "item/{int:1:3}", "{choice:red|blue}", name="set", expect="OK"),
        RedisCommand("rpush", "list", "{seq}", weight=2),
    ]
    with load.redis(commands, arrivals=Poisson(rate=300), host=redis.host, seconds=1, seed=2) as traffic:
        traffic.run_for(0.8)
        assert 0 < traffic.connections < 20
        traffic.wait(20)
    found = outcomes(traffic)
    assert set(found) == {("set", ""), ("Redis RPUSH", "")}
    assert found["set", ""] > 50
    assert redis.ask("LLEN list") == b":%d" % found["Redis RPUSH", ""]
    assert redis.ask("DBSIZE") == b":4"
    assert {record.size for record in traffic.records() if record.name == "set"} == {len("+OK\r\n")}
    assert not traffic.behind


@pytest.mark.parametrize(
    ("command", "error"),
    [
        (RedisCommand("GET", "text", expect=b"x"), ""),
        (RedisCommand("GET", "text", expect="y"), "wrong: the answer is not the expected one"),
        (RedisCommand("STRLEN", "text", expect=1), ""),
        (RedisCommand("STRLEN", "text", expect="1"), "wrong: the answer is not the expected one"),
        (RedisCommand("MGET", "text", "text", expect=["x", "x"]), ""),
        (RedisCommand("GET", "none", expect="x"), "wrong: the answer is not the expected one"),
        (RedisCommand("LPUSH", "text", 1), "Redis WRONGTYPE"),
        (RedisCommand("GTE", "text"), "Redis ERR"),
    ],
    ids=lambda value: " ".join(value.words) if isinstance(value, RedisCommand) else None,
)
def test_what_was_not_expected_is_a_failed_request_on_a_good_connection(load, redis, command, error):
    assert redis.ask("SET text x") == b"+OK"
    with load.redis([command], arrivals=100, host=redis.host, seconds=0.2) as traffic:
        traffic.wait(20)
    assert outcomes(traffic) == {(command.name, error): 20}
    assert redis.connections() < 10
    kept = traffic.unexpected()
    assert len(kept) == (20 if error else 0)
    if error == "Redis WRONGTYPE":
        said = b"WRONGTYPE Operation against a key holding the wrong kind of value"
        assert {line["sha256"] for line in kept} == {hashlib.sha256(said).hexdigest()}
        assert {line["status"] for line in kept} == {"Redis WRONGTYPE"}


def test_a_wrong_password_is_told(load, redis):
    host = redis.host.replace("p%40ss", "other")
    with load.redis([RedisCommand("PING")], arrivals=50, host=host, seconds=0.2) as traffic:
        traffic.wait(20)
    assert outcomes(traffic) == {("Redis PING", "Redis WRONGPASS"): 10}


def test_a_large_reply_comes_whole(load, redis):
    """More than one read."""
    commands = [RedisCommand("SETRANGE", "big", 1_000_000, "x"), RedisCommand("GET", "big")]
    with load.redis(commands, arrivals=Constant(rate=50), host=redis.host, seconds=0.6) as traffic:
        traffic.wait(20)
    sizes = {record.size for record in traffic.records() if record.name == "Redis GET"}
    assert max(sizes) == len(b"$1000001\r\n") + 1_000_001 + 2
    assert {record.error for record in traffic.records()} == {""}


def test_a_command_that_is_never_answered_fails_at_its_time_limit(load, redis):
    """Counted from its intended moment; others are not held up."""
    commands = [RedisCommand("BLPOP", "none", 0), RedisCommand("PING", expect="PONG")]
    with load.redis(commands, arrivals=Constant(rate=60), host=redis.host, seconds=1, timeout=0.5) as traffic:
        traffic.wait(20)
    found = outcomes(traffic)
    assert set(found) == {("Redis BLPOP", "TimeoutError"), ("Redis PING", "")}
    assert found.total() == 60
    assert all(0.5 <= record.latency < 1.5 for record in traffic.records() if record.error)


def test_a_server_that_stalls_is_asked_no_less(load, redis):
    """The open loop: latencies of those that met the stall fall by the time between their moments."""
    with load.redis([RedisCommand("INCR", "n")], arrivals=Constant(rate=100), host=redis.host) as traffic:
        traffic.wait_for_requests(20)
        redis.process.send_signal(signal.SIGSTOP)
        traffic.run_for(1)
        redis.process.send_signal(signal.SIGCONT)
        traffic.wait_for_requests(200)
    waited = sorted(record.latency for record in traffic.records())[-80:]
    assert waited[-1] > 0.9
    assert max(later - earlier for earlier, later in pairwise(waited)) < 0.4
    assert {record.error for record in traffic.records()} == {""}
    assert not traffic.behind


def test_a_server_that_goes_away_and_comes_back(load, redis):
    """What was under way is lost with the connection, what comes then is refused, and then all is well again."""
    commands = [RedisCommand("BLPOP", "none", 5), RedisCommand("PING")]
    with load.redis(commands, arrivals=Constant(rate=100), host=redis.host) as traffic:
        traffic.wait_for_requests(20)
        redis.stop()
        traffic.run_for(0.3)
        redis.start()
        traffic.wait_for_requests(traffic.requests + 40)
    kinds = Counter(record.error for record in traffic.records())
    lost = kinds["ConnectionClosed"] + kinds["ConnectionResetError"]
    assert lost > 5
    assert kinds["ConnectionRefusedError"] > 10
    pings = [record.error for record in traffic.records() if record.name == "Redis PING"]
    assert pings[-10:] == [""] * 10


@pytest.mark.parametrize(
    ("speech", "error"),
    [(b"SSH-2.0-OpenSSH_9.2\r\n", "malformed answer"), (b"$5\r\nhel", "ConnectionClosed"), (b"", "ConnectionClosed")],
)
def test_a_server_that_speaks_otherwise_is_told(load, answering, speech, error):
    """And one that hangs up in the middle of a reply."""
    with load.redis(
        [RedisCommand("GET", "a")], arrivals=50, host=f"redis://{answering(speech)}", seconds=0.2
    ) as traffic:
        traffic.wait(20)
    assert outcomes(traffic) == {("Redis GET", error): 10}


@pytest.mark.parametrize("login", ["", ":secret@"])
def test_a_server_that_never_says_anything_is_given_up(load, answering, login):
    """Whether it is asked to log in first or not."""
    host = f"redis://{login}{answering(None)}"
    with load.redis([RedisCommand("PING")], arrivals=50, host=host, seconds=0.2, timeout=0.3) as traffic:
        traffic.wait(20)
    assert outcomes(traffic) == {("Redis PING", "TimeoutError"): 10}
    assert all(0.3 <= record.latency < 1.0 for record in traffic.records())


def test_replies_that_nobody_asked_for_are_not_taken_for_the_next_ones(load, answering):
    """A connection that had more than one reply is not used again."""
    commands = [RedisCommand("GET", "a", expect="one")]
    host = f"redis://{answering(b'+one' + bytes([13, 10]) + b'+two' + bytes([13, 10]), keep=True)}"
    with load.redis(commands, arrivals=50, host=host, seconds=0.4) as traffic:
        traffic.wait(20)
    assert outcomes(traffic) == {("Redis GET", ""): 20}
