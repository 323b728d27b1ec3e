from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import sys
import time
from itertools import pairwise
from random import Random

import pytest

from pytest_enterprise import events
from pytest_enterprise.errors import ConfigurationError, LoadFailed
from pytest_enterprise.load.arrivals import Constant, Poisson, Spike, Step, Trace
from pytest_enterprise.load.recorder import UNFINISHED
from pytest_enterprise.load.statistics import percentile

JOURNEY = """
from locust import task
from pytest_enterprise.load.users import EnterpriseUser

class Visitor(EnterpriseUser):
    @task
    def visit(self):
        self.acknowledged(str(self.random.random()))
        self.client.get("/first", name="first")
        with self.client.get("/second", name="second", catch_response=True):
            pass
"""


def p99(latencies):
    return percentile(sorted(latencies), 99)


def test_a_stall_is_reported_as_the_server_saw_it(serve, load, locustfile):
    """A closed loop hides a stall that ours reports: 0.6 s in 6 s at 100 requests/s, for 2 s in 20 s."""

    def stalled(**how):
        server = serve()
        with load(locustfile(rate=25), host=server.url, seconds=6, **how) as traffic:
            traffic.run_for(2)
            server.stall(0.6)
            traffic.wait(20)
        assert len(server.seconds) == traffic.requests
        return p99([r.latency for r in traffic.records()]), p99(server.seconds), traffic

    closed, _, _ = stalled(users=4)
    ours, true, traffic = stalled(arrivals=100)
    assert true > 0.5
    assert closed < true / 4
    assert 0.9 * true < ours
    assert traffic.requests >= 595
    assert not traffic.behind


def test_arrivals_are_made_at_their_intended_moments(serve, load, locustfile, run):
    """Each record starts at a moment that the pattern and the seed say, and the events tell that the loop is open."""
    server = serve()
    pattern = Poisson(rate=60)
    with load(locustfile(), arrivals=pattern, host=server.url, seed=5) as traffic:
        traffic.run_for(2)
    starts = sorted(r.start for r in traffic.records())
    times = pattern.times(Random(5))
    wanted = [round(next(times) * 1e9) for _ in starts]
    assert [start - starts[0] for start in starts] == [moment - wanted[0] for moment in wanted]
    assert len(starts) == server.total == traffic.arrivals["made"] == traffic.arrivals["due"] > 60
    [started] = [e for e in events.read(run.directory) if e["kind"] == "load.started"]
    [finished] = [e for e in events.read(run.directory) if e["kind"] == "load.finished"]
    assert started["closed_loop"] is traffic.closed_loop is False
    assert started["arrivals"] == {"kind": "poisson", "poisson": True, "rate": 60}
    assert finished["behind"] == ""
    assert finished["arrivals"] == traffic.arrivals


def test_only_what_a_journey_begins_with_counts_from_the_intended_moment(serve, load, locustfile):
    """While users wait for the limit, the first requests of their journeys are late; the second ones are not."""
    server = serve()
    with load(locustfile(JOURNEY), arrivals=40, users=1, host=server.url) as traffic:
        traffic.run_for(0.5)
        server.stall(1)
        traffic.run_for(2)
    by_name = {name: [r.latency for r in traffic.records() if r.name == f"GET {name}"] for name in ("first", "second")}
    assert sum(latency > 0.3 for latency in by_name["first"]) > 20
    assert sum(latency > 0.3 for latency in by_name["second"]) <= 1


def test_what_a_journey_draws_follows_from_the_seed(serve, load, locustfile):
    """The same seed gives the same draws, whichever users the journeys fell to; another seed gives others."""

    def draws(seed):
        with load(locustfile(JOURNEY), arrivals=100, host=serve().url, seed=seed) as traffic:
            traffic.wait_for_requests(60)
        return {operation["key"] for operation in traffic.operations()}

    first, again, other = draws(1), draws(1), draws(2)
    assert len(first & again) >= 30
    assert first <= again or again <= first
    assert not first & other


def test_a_pattern_with_an_end_ends_the_load(serve, load, locustfile):
    """After the last arrival of steps or a trace, the load is over when its journeys are, each of them made."""
    server = serve()
    for pattern, count in ((Step(rates=[20, 80], each=0.5), 50), (Trace(moments=[0, 0.1, 0.1, 0.4], speed=2), 4)):
        before = server.total
        with load(locustfile(), arrivals=pattern, host=server.url) as traffic:
            traffic.wait(10)
        assert traffic.requests == server.total - before == count
        assert not traffic.behind


def test_a_load_tells_when_each_of_its_rates_was_on(serve, load, locustfile):
    """A spike is a stretch between two others; what had not begun when the load ended is none."""
    server = serve()
    with load(locustfile(), arrivals=Spike(rate=20, peak=200, at=0.5, lasting=0.25), host=server.url) as traffic:
        traffic.run_for(1.2)
    before, spike, after = traffic.stretches()
    assert [one.target for one in (before, spike, after)] == [f"{rate} per second" for rate in (20, 200, 20)]
    assert (before.began_ns, before.ended_ns, spike.ended_ns) == (traffic.started, spike.began_ns, after.began_ns)
    assert (spike.ended_ns - spike.began_ns, after.ended_ns) == (250_000_000, traffic.stopped)
    assert abs(sum(spike.began_ns <= one.start < spike.ended_ns for one in traffic.records()) - 50) <= 3
    with load(locustfile(), arrivals=Step(rates=[20, 30, 40], each=0.4), host=server.url) as traffic:
        traffic.run_for(0.5)
    assert [one.target for one in traffic.stretches()] == ["20 per second", "30 per second"]


@pytest.mark.parametrize(
    ("loop", "told"), [({"users": 1}, "a closed loop"), ({"arrivals": Trace(moments=[0])}, "trace")]
)
def test_a_load_without_rates_has_no_stretches(serve, load, locustfile, loop, told):
    """A closed loop and a trace are told apart from what has rates."""
    with load(locustfile(), host=serve().url, **loop) as traffic:
        traffic.run_for(0.3)
    with pytest.raises(ConfigurationError, match=f"{told}.*, which has no rates; give arrivals=Step"):
        traffic.stretches()


def test_classes_get_arrivals_by_their_weight(serve, load, locustfile):
    """Several user classes share the arrivals as their weights say, and so do the tasks of a TaskSet."""
    text = """
from locust import SequentialTaskSet, task
from pytest_enterprise.load.users import EnterpriseUser
class Steps(SequentialTaskSet):
    @task
    def one(self):
        self.client.get("/one")
    @task
    def two(self):
        self.client.get("/two")
class Often(EnterpriseUser):
    weight = 3
    tasks = [Steps]
class Rarely(EnterpriseUser):
    @task
    def visit(self):
        self.client.get("/rarely")
"""
    server = serve()
    with load(locustfile(text), arrivals=150, host=server.url, seed=3) as traffic:
        traffic.run_for(2)
    share = server.counts["GET /rarely"] / server.total
    assert 0.15 < share < 0.35
    assert abs(server.counts["GET /one"] - server.counts["GET /two"]) <= 10
    assert server.total == traffic.arrivals["made"]


def test_users_sign_in_before_their_first_journey(serve, load, locustfile):
    """on_start runs once for each user of the pool, with or without super(), and takes no arrival."""
    text = """
from locust import task
from pytest_enterprise.load.users import EnterpriseUser
class Member(EnterpriseUser):
    def on_start(self):
        self.client.post("/login")
    @task
    def visit(self):
        self.client.get("/page")
"""
    server = serve()
    with load(locustfile(text), arrivals=50, host=server.url) as traffic:
        traffic.run_for(1)
    assert server.counts["GET /page"] == traffic.arrivals["made"] >= 45
    assert 1 <= server.counts["POST /login"] < 10


def test_at_the_limit_of_journeys_the_generator_is_behind(serve, load, locustfile, run):
    """An endpoint that never answers meets the stated limit: the load says so, and the records show the waiting."""
    server = serve("hang")
    with load(locustfile(), arrivals=50, users=5, host=server.url) as traffic:
        traffic.run_for(1)
        assert "limit of 5 journeys at once was met" in traffic.behind
    assert re.search(r"[\d]+ of [\d]+ arrivals had to wait", traffic.behind)
    assert traffic.arrivals["due"] >= 40
    assert traffic.arrivals["made"] == 5
    assert [r.error for r in traffic.records()] == [UNFINISHED] * 5
    [told] = [e for e in events.read(run.directory) if e["kind"] == "load.behind"]
    assert told["load"] == traffic.id
    [finished] = [e for e in events.read(run.directory) if e["kind"] == "load.finished"]
    assert finished["behind"] == traffic.behind


def test_an_endpoint_that_never_answers_is_asked_all_the_same(serve, load, locustfile):
    """Every arrival is sent although none is answered, and each is recorded as unfinished, from its intended moment."""
    server = serve("hang")
    with load(locustfile(), arrivals=50, host=server.url, seconds=1) as traffic:
        traffic.wait(20)
    records = traffic.records()
    assert {r.error for r in records} == {UNFINISHED}
    assert len(records) == server.total == traffic.arrivals["due"] >= 48
    assert not traffic.behind
    gaps = sorted(r.start for r in records)
    assert abs((gaps[-1] - gaps[0]) / 1e9 - (len(gaps) - 1) / 50) < 0.02


@pytest.mark.parametrize(("mode", "error"), [("bye", ""), ("close", "HTTPConnectionClosed"), ("500", "HTTP 500")])
def test_a_server_that_closes_each_connection_is_asked_at_the_same_rate(serve, load, locustfile, mode, error):
    """Whether it hangs up after its answer or in place of one, each arrival is one request, with what it met."""
    server = serve(mode)
    with load(locustfile(), arrivals=80, host=server.url, seconds=1) as traffic:
        traffic.wait(20)
    assert {r.error for r in traffic.records()} == {error}
    assert traffic.requests == server.total == traffic.arrivals["made"] >= 78


def test_a_generator_that_cannot_keep_up_is_behind(serve, load, locustfile):
    """Tasks that take the processor for longer than arrivals leave it make the load say that it is late."""
    text = """
import time
from locust import task
from pytest_enterprise.load.users import EnterpriseUser
class Busy(EnterpriseUser):
    @task
    def visit(self):
        end = time.perf_counter() + 0.05
        while time.perf_counter() < end:
            pass
        self.client.get("/")
"""
    with load(locustfile(text), arrivals=60, host=serve().url) as traffic:
        traffic.run_for(1.5)
    assert re.search(r"journeys began over 0\.25 s late \(at worst \d", traffic.behind)
    assert traffic.arrivals["late"] > 5
    assert traffic.arrivals["lag"] > 0.1


def test_users_that_fail_before_their_journey_leave_arrivals_unmade(serve, load, locustfile):
    """An on_start that raises loses arrivals: the load says how many."""
    text = """
from locust import task
from pytest_enterprise.load.users import EnterpriseUser
class Locked(EnterpriseUser):
    def on_start(self):
        raise RuntimeError("no key")
    @task
    def visit(self):
        self.client.get("/")
"""
    with pytest.raises(LoadFailed, match="made no request: its tasks raised RuntimeError: no key"):
        with load(locustfile(text), arrivals=50, host=serve().url) as traffic:
            traffic.run_for(0.5)
    assert re.fullmatch(r"\d+ of \d+ arrivals were not made", traffic.behind)


def test_a_task_that_raises_and_a_stop_that_raises_hinder_nobody(serve, load, locustfile):
    """An exception in a task or in on_stop is told, and the other arrivals are made."""
    text = """
from locust import events, task
from pytest_enterprise.load.users import EnterpriseUser
@events.test_stop.add_listener
def _(**_):
    raise RuntimeError("at stop")
class Clumsy(EnterpriseUser):
    @task
    def visit(self):
        self.client.get("/")
        if self.random.random() < 0.3:
            raise KeyError("dropped")
    def on_stop(self):
        raise RuntimeError("on_stop")
"""
    server = serve()
    with load(locustfile(text), arrivals=80, host=server.url) as traffic:
        traffic.run_for(1)
    assert traffic.requests == server.total == traffic.arrivals["made"] >= 75
    assert 5 < traffic.user_errors["KeyError: 'dropped'"] < 50
    assert not traffic.behind


def test_a_generator_that_dies_says_how_far_it_got(serve, load, locustfile):
    """What was recorded before it died is kept, and the error says that the load died."""
    with pytest.raises(LoadFailed, match="died with signal 9"):
        with load(locustfile(), arrivals=50, host=serve().url) as traffic:
            traffic.wait_for_requests(10)
            traffic._process.send_signal(signal.SIGKILL)
            traffic.run_for(10)
    assert len(traffic.records()) >= 10


def test_a_wall_clock_that_jumps_moves_no_record(serve, load, locustfile):
    """Latencies and starts come from a clock that cannot be set: an hour forth and back changes nothing."""
    text = """
import time
from locust import events, task
from pytest_enterprise.load import recorder, users
real, jump = time.time, [0]
time.time = lambda: real() + jump[0]
ns = time.time_ns
recorder.time_ns = lambda: ns() + jump[0] * 10**9
class Visitor(users.EnterpriseUser):
    @task
    def visit(self):
        self.client.get("/")
        jump[0] = {0: 3600, 3600: -3600, -3600: 0}[jump[0]]
"""
    with load(locustfile(text), arrivals=50, host=serve().url) as traffic:
        traffic.run_for(1)
    starts = sorted(r.start for r in traffic.records())
    assert len(starts) >= 45
    assert max(later - earlier for earlier, later in pairwise(starts)) == pytest.approx(20e6, abs=2)
    assert max(r.latency for r in traffic.records()) < 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"arrivals": 0}, r"constant: rate=0 is no rate"),
        ({"arrivals": -1}, r"rate=-1 is no rate"),
        ({"arrivals": 1e9}, r"rate=1000000000.0 is no rate; give requests per second above 0, up to 1,000,000"),
        ({"arrivals": "posson:5"}, r"'posson' has no short form. Did you mean 'poisson'"),
        ({"arrivals": "ramp:5"}, r"write it like ramp:10-200/30s"),
        ({"arrivals": True}, r"arrivals=True is no pattern"),
        ({"arrivals": 5, "spawn_rate": 2}, r"spawn_rate=2 starts the users of a closed loop"),
        ({"arrivals": 5, "users": 0}, r"users=0 is not possible"),
    ],
)
def test_arrivals_that_cannot_be_are_refused(load, locustfile, run, arguments, message):
    """A rate of zero, one beyond any machine and what cannot be read are told before anything starts."""
    with pytest.raises(ConfigurationError, match=message):
        load(locustfile(), host="http://127.0.0.1:1", **arguments)
    assert not (run.directory / "load").exists()


def test_a_locustfile_that_raises_at_import_is_told(load, locustfile):
    """Nothing begins, and the line that raised is shown."""
    with pytest.raises(ConfigurationError, match=r"raised ZeroDivisionError when imported(?s:.)*:1: 1 / 0"):
        load(locustfile("1 / 0\n"), arrivals=5, host="http://127.0.0.1:1").begin()


def test_what_an_open_loop_cannot_do_is_told(serve, load, locustfile):
    """Other user classes than ours are refused with the way out; users cannot be changed by hand."""
    plain = (
        "from locust import FastHttpUser, task\nclass Plain(FastHttpUser):\n    @task\n    def visit(self):\n"
        "        self.client.get('/')\n"
    )
    with pytest.raises(
        ConfigurationError, match=r"user class Plain .* does not derive from a user class .*EnterpriseUser"
    ):
        load(locustfile(plain), arrivals=Constant(rate=5), host="http://127.0.0.1:1").begin()
    with load(locustfile(), arrivals=5, host=serve().url) as traffic:
        with pytest.raises(LoadFailed, match="its arrivals decide how many users"):
            traffic.users(3)


def locust(path, host, *more):
    command = (sys.executable, "-m", "locust", "-f", str(path), "--headless", "--host", host, *more)
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=path.parent)


def test_plain_locust_shows_the_same(serve, locustfile):
    """`locust -f ... --arrivals` makes the arrivals and ends with them, and its own statistics count from intention."""
    server = serve()
    with locust(locustfile(), server.url, "--arrivals", "step:50/2s", "--json", "--skip-log") as process:
        while not server.total:
            time.sleep(0.01)
        server.stall(0.8)
        out, _ = process.communicate(timeout=30)
    assert process.returncode == 0, out
    [line] = json.loads(out[out.index("[") :])
    assert line["num_requests"] == server.total == 100
    assert line["max_response_time"] > 700
    assert sum(count for time, count in line["response_times"].items() if float(time) > 100) > 30


def test_workers_share_the_arrivals_and_a_lost_one_is_told(serve, locustfile):
    """Two workers make the pattern together; when one dies, the master says what was lost."""
    server = serve()
    path = locustfile()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    where = ("--master-port", str(port)), ("--master-bind-port", str(port), "--master-bind-host", "127.0.0.1")
    more = ("--expect-workers", "2", "--arrivals", "60", "--run-time", "5", "--only-summary")
    master = locust(path, server.url, "--master", *where[1], *more)
    workers = [
        subprocess.Popen(
            (sys.executable, "-m", "locust", "-f", str(path), "--worker", "--master-host", "127.0.0.1", *where[0]),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=path.parent,
        )
        for _ in range(2)
    ]
    try:
        deadline = time.monotonic() + 30
        while server.total < 60 and time.monotonic() < deadline:
            time.sleep(0.05)
        assert server.total >= 60
        workers[0].kill()
        out, _ = master.communicate(timeout=40)
    finally:
        for process in (master, *workers):
            process.kill()
            process.wait()
    lost = re.search(r"worker \d was lost: of its (\d+) arrivals (\d+) are known to be made", out)
    assert lost, out
    assert 100 <= int(lost[1]) <= 200
    assert int(lost[2]) < int(lost[1])
    kept = re.search(r"open loop, worker \d: (\d+) arrivals due, (\d+) made", out)
    assert kept, out
    assert 100 <= int(kept[1]) <= int(lost[1]) + 1
    assert kept[1] == kept[2]


def test_users_of_other_protocols_make_arrivals_too(serve, load, locustfile):
    """What a journey begins with counts from its intended moment, whatever the user speaks."""
    text = """
from locust import task
from pytest_enterprise.load.protocol import ProtocolUser, Reply
import time
class Slow(ProtocolUser):
    protocol = "SLOW"
    @task
    def two(self):
        for name in ("first", "second"):
            self.exchange(name, lambda trace: (time.sleep(0.05), Reply(None, 0))[1])
"""
    with load(locustfile(text), arrivals=40, users=2, host=serve().url) as traffic:
        traffic.run_for(1.5)
    by_name = {name: [r.latency for r in traffic.records() if r.name == f"SLOW {name}"] for name in ("first", "second")}
    assert max(by_name["first"]) > 0.4
    assert sorted(by_name["second"])[len(by_name["second"]) // 2] < 0.2
    assert "limit of 2 journeys" in traffic.behind
