"""Users of Redis against a real server."""

from __future__ import annotations

import pytest

from pytest_enterprise.load.recorder import UNFINISHED

USERS = """
from locust import task
from pytest_enterprise.load.redis_users import RedisUser

class Cache(RedisUser):
    rate = 40
    time_limit = 0.4
    @task
    def work(self):
        {work}
"""
MARK = 'self.client.call("GET", "mark")'


@pytest.fixture
def work(redis, load, locustfile):
    def work(text, users=1, host=None):
        return load(locustfile(USERS.format(work=text)), users=users, host=host or redis.host)

    return work


def errors(traffic):
    return {(r.name, r.error) for r in traffic.records()}


def test_commands_are_recorded_by_their_first_word(work, redis):
    """Values are written and read back, in the host's database, on one connection for each user."""
    text = """self.client.call("set", "a", 1)
        self.client.call("GET", "a", expect=b"1")
        self.client.call("INCR", "count", name="count")"""
    with work(text, users=3) as traffic:
        traffic.wait_for_requests(30)
        clients = redis.ask("INFO clients")
    assert errors(traffic) == {("Redis SET", ""), ("Redis GET", ""), ("Redis count", "")}
    counted = sum(r.name == "Redis count" for r in traffic.records())
    assert redis.ask("GET count") == b"$" + str(len(str(counted))).encode()
    assert clients.startswith(b"$")


def test_a_pipeline_is_one_request(work, redis):
    """Its value is the list of replies."""
    text = """self.client.pipeline(
            [("SET", "a", "1"), ("INCR", "a"), ("LRANGE", "none", 0, -1)], name="three", expect=[b"OK", 2, []]
        )"""
    with work(text) as traffic:
        traffic.wait_for_requests(5)
    assert errors(traffic) == {("Redis three", "")}


@pytest.mark.parametrize(
    "text",
    [
        'self.client.call("LPUSH", "text", 1)',
        'self.client.pipeline([("GET", "text"), ("LPUSH", "text", 1)], name="LPUSH")',
    ],
)
def test_an_error_reply_is_a_failed_request_of_its_kind(work, redis, text):
    """The connection is kept: the server is in order."""
    assert redis.ask("SET text x") == b"+OK"
    with work(text) as traffic:
        traffic.wait_for_requests(5)
    assert errors(traffic) == {("Redis LPUSH", "Redis WRONGTYPE")}
    assert {line["status"] for line in traffic.unexpected()} == {"Redis WRONGTYPE"}
    assert all(len(line["sha256"]) == 64 and len(line["trace_id"]) == 32 for line in traffic.unexpected())


def test_a_wrong_password_is_a_failed_request(work, redis):
    with work(MARK, host=redis.host.replace("p%40ss", "other")) as traffic:
        traffic.wait_for_requests(3)
    assert errors(traffic) == {("Redis GET", "Redis WRONGPASS")}


def test_a_command_that_takes_too_long_is_given_up(work):
    """The next command goes over a new connection, so it does not get the late reply."""
    with work('self.client.call("BLPOP", "none", 0)\n        self.client.call("ECHO", "x", expect=b"x")') as traffic:
        traffic.wait_for_requests(4)
    timely = [r for r in traffic.records() if r.error != UNFINISHED]
    assert {(r.name, r.error) for r in timely} == {("Redis BLPOP", "TimeoutError"), ("Redis ECHO", "")}
    assert all(0.4 <= r.latency < 0.9 for r in timely if r.error)


def test_a_server_that_goes_away_and_comes_back(work, redis):
    """The command under way is lost, those after it are refused, and then all is well again, with no retry hidden."""
    with work('self.client.call("BLPOP", "none", 0.2)\n        self.client.call("PING", expect="no")') as traffic:
        traffic.wait_for_requests(2)
        redis.stop()
        traffic.wait_for_requests(traffic.requests + 10)
        redis.start()
        before = traffic.requests
        traffic.wait_for_requests(before + 6)
    kinds = [r.error for r in traffic.records()]
    assert (
        {"ConnectionRefusedError"}
        < set(kinds)
        <= {
            "",
            "ConnectionRefusedError",
            "ConnectionClosed",
            "ConnectionResetError",
            "BrokenPipeError",
            "wrong: the answer is not the expected one",
            UNFINISHED,
        }
    )
    last = max(at for at, kind in enumerate(kinds) if kind == "ConnectionRefusedError")
    assert "" in kinds[:last]
    assert "" in kinds[last:]
