from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pytest_enterprise import events
from pytest_enterprise.errors import ConfigurationError, LoadFailed
from pytest_enterprise.load.recorder import UNFINISHED


def gone(pid: int, within: float = 3) -> bool:
    end = time.monotonic() + within
    while time.monotonic() < end:
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except OSError:
            return True
        time.sleep(0.01)
    return False


def test_every_request_is_recorded_as_the_server_saw_it(serve, load, locustfile, run):
    """The records hold exactly the requests that the server counted, with plausible times on the run's clock."""
    server = serve()
    before = time.monotonic_ns()
    with load(locustfile(), users=5, host=server.url) as traffic:
        traffic.wait_for_requests(40)
        traffic.run_for(0.3)
    records = traffic.records()
    assert len(records) == traffic.requests == server.total >= 40
    assert {(r.name, r.error, r.size) for r in records} == {("GET /", "", 5)}
    assert all(before < traffic.started <= r.start <= r.end <= traffic.stopped for r in records)
    assert 0 < sorted(r.latency for r in records)[len(records) // 2] < 0.5
    [started] = [e for e in events.read(run.directory) if e["kind"] == "load.started"]
    [finished] = [e for e in events.read(run.directory) if e["kind"] == "load.finished"]
    assert started["file"] == f"load/{traffic.id}"
    assert started["closed_loop"] is True
    assert started["users"] == 5
    assert finished["requests"] == len(records)
    assert finished["failures"] == 0
    assert traffic.cpu_seconds > 0
    assert traffic.path.with_suffix(".requests").stat().st_size == 20 * len(records)
    assert traffic.unexpected() == []


@pytest.mark.parametrize(("mode", "error"), [("500", "HTTP 500"), ("close", "HTTPConnectionClosed")])
def test_each_failure_is_recorded_once_with_its_kind(serve, load, locustfile, mode, error):
    """A failed request counts once, however the client library would like to repeat it."""
    server = serve(mode)
    with load(locustfile(), users=3, host=server.url) as traffic:
        traffic.wait_for_requests(15)
    assert {r.error for r in traffic.records()} == {error}
    assert traffic.requests == traffic.failures == server.total


def test_a_refused_connection_is_a_failed_request(serve, load, locustfile):
    """Requests to a port where nobody listens are recorded as ConnectionRefusedError."""
    server = serve()
    server.close()
    with load(locustfile(), users=2, host=server.url) as traffic:
        traffic.wait_for_requests(5)
    assert {r.error for r in traffic.records()} == {"ConnectionRefusedError"}
    server.__init__()  # so that the fixture has something to close


def test_requests_under_way_at_the_end_are_recorded_as_unfinished(serve, load, locustfile):
    """Stopping takes about two seconds at most, and a request that got no answer until then is not lost."""
    server = serve("hang")
    with load(locustfile(), users=4, host=server.url) as traffic:
        while server.total < 4:
            traffic.run_for(0.05)
        began = time.monotonic()
    assert time.monotonic() - began < 5
    records = traffic.records()
    assert [r.error for r in records] == [UNFINISHED] * 4
    assert all(r.latency > 1.5 and r.name == "GET /" for r in records)
    assert all(traffic.started <= r.start for r in records)


def test_the_number_of_users_can_change(serve, load, locustfile):
    """users(n) adds and removes users of a running load."""
    server = serve()
    with load(locustfile(rate=5), users=1, host=server.url) as traffic:
        for count in (4, 2):
            traffic.users(count)
            end = time.monotonic() + 8
            while traffic.active_users != count and time.monotonic() < end:
                traffic.run_for(0.05)
            assert traffic.active_users == count


def test_users_keep_their_pace_each_in_its_own_phase(serve, load, locustfile):
    """Each user starts a task once per period, and users that were spawned at once do not send together."""
    with load(locustfile(rate=4), users=8, host=serve().url) as traffic:
        traffic.run_for(2)
    records = traffic.records()
    assert 40 <= len(records) <= 72
    quarters = sorted((r.start - traffic.started) // 10**6 % 250 for r in records)
    assert quarters[-1] - quarters[0] > 60


def test_it_ends_by_itself_after_its_seconds(serve, load, locustfile):
    """With seconds=, the load is over after so long, and wait() returns then."""
    with load(locustfile(), users=2, host=serve().url, seconds=0.5) as traffic:
        traffic.wait(10)
        assert traffic.finished
        with pytest.raises(LoadFailed, match="has ended"):
            traffic.users(3)
    assert 0.4 < (traffic.stopped - traffic.started) / 1e9 < 4


def test_two_loads_of_one_run_draw_different_seeds(load, locustfile):
    """Keys that users draw must not repeat in the next load of the same run."""
    path = locustfile()
    first, second = (load(path, users=1, host="http://127.0.0.1:1") for _ in range(2))
    assert first.settings["seed"] != second.settings["seed"]


def test_the_same_seed_gives_users_the_same_choices(serve, load, locustfile):
    """What each user draws follows from the seed alone."""
    text = """
from locust import task
from pytest_enterprise.load.users import EnterpriseUser
class Drawer(EnterpriseUser):
    rate = 50
    def on_start(self):
        super().on_start()
        self.acknowledged(str(self.random.random()))
    @task
    def visit(self):
        self.client.get("/")
"""
    server = serve()

    def draw(seed):
        with load(locustfile(text), users=3, host=server.url, seed=seed) as traffic:
            traffic.wait_for_requests(10)
        return {operation["key"] for operation in traffic.operations()}

    first, again, other = draw(1), draw(1), draw(2)
    assert len(first) == 3
    assert first == again
    assert not first & other


def test_operations_are_kept_with_what_the_user_knew(serve, load, locustfile):
    """acknowledged() leaves one line per operation, with its status and facts."""
    text = """
from locust import task
from pytest_enterprise.load.users import EnterpriseUser
class Noting(EnterpriseUser):
    rate = 20
    @task
    def visit(self):
        answer = self.client.get("/")
        self.acknowledged("k", status="ok" if answer.ok else "fail", code=answer.status_code)
"""
    with load(locustfile(text), users=1, host=serve().url) as traffic:
        traffic.wait_for_requests(3)
    operations = traffic.operations()
    assert len(operations) == traffic.requests
    assert all((o["key"], o["status"], o["code"]) == ("k", "ok", 200) for o in operations)
    assert all(traffic.started < o["t"] <= traffic.stopped for o in operations)


def test_options_reach_the_locustfile(serve, load, locustfile):
    """Options that a locustfile declares are set; one it does not declare is refused with those that exist."""
    text = """
from locust import events, task
from pytest_enterprise.load.users import EnterpriseUser
@events.init_command_line_parser.add_listener
def _(parser):
    parser.add_argument("--page", default="none")
class Reader(EnterpriseUser):
    @task
    def visit(self):
        self.client.get("/" + self.option("page"))
"""
    server = serve()
    with load(locustfile(text), users=1, host=server.url, options={"page": "seven", "rate": 50}) as traffic:
        traffic.wait_for_requests(2)
    assert set(server.counts) == {"GET /seven"}
    with pytest.raises(ConfigurationError, match=r"no option 'pages'.*Did you mean 'page'"):
        load(locustfile(text), users=1, host=server.url, options={"pages": 1}).begin()


def test_a_shape_decides_when_no_users_are_given(serve, load, locustfile):
    """A LoadTestShape in the locustfile sets the users, and its end is the load's."""
    text = """
from locust import LoadTestShape, task
from pytest_enterprise.load.users import EnterpriseUser
class Visitor(EnterpriseUser):
    rate = 20
    @task
    def visit(self):
        self.client.get("/")
class Shape(LoadTestShape):
    def tick(self):
        return (3, 100) if self.get_run_time() < 0.9 else None
"""
    with load(locustfile(text), host=serve().url) as traffic:
        traffic.wait(10)
    assert traffic.requests > 10


def test_plain_user_classes_can_be_chosen_by_name(serve, load, locustfile):
    """A locustfile of several plain Locust users runs those that are named."""
    text = """
from locust import FastHttpUser, HttpUser, constant, task
class Fast(FastHttpUser):
    wait_time = constant(0.05)
    @task
    def visit(self):
        self.client.get("/fast")
class Slow(HttpUser):
    wait_time = constant(0.05)
    @task
    def visit(self):
        self.client.get("/slow")
"""
    server = serve()
    with load(locustfile(text), users=2, host=server.url, user_classes=["Slow"]) as traffic:
        traffic.wait_for_requests(3)
    assert {r.name for r in traffic.records()} == {"GET /slow"}
    assert traffic.requests == server.total
    with pytest.raises(ConfigurationError, match=r"no user class 'Fats'.*Did you mean 'Fast'"):
        load(locustfile(text), users=2, host=server.url, user_classes=["Fats"]).begin()


def test_a_generator_that_dies_is_told_with_its_last_lines(serve, load, locustfile, run):
    """run_for raises at once, with the exit status and the end of the log, when Locust's process is gone."""
    with pytest.raises(LoadFailed, match=r"died with signal 9(?s:.)*Ramping to 1 users"):
        with load(locustfile(), users=1, host=serve().url) as traffic:
            traffic.wait_for_requests(1)
            traffic._process.send_signal(signal.SIGKILL)
            began = time.monotonic()
            traffic.run_for(30)
    assert time.monotonic() - began < 5
    assert len(traffic.records()) >= 1
    [finished] = [e for e in events.read(run.directory) if e["kind"] == "load.finished"]
    assert "died" in finished["reason"]


def test_a_load_that_was_terminated_is_told(serve, load, locustfile):
    """A load that ended although nobody asked for it is a failure, not a shorter load."""
    with pytest.raises(LoadFailed, match="nobody had asked"):
        with load(locustfile(), users=1, host=serve().url) as traffic:
            traffic.wait_for_requests(1)
            traffic._process.terminate()
            traffic.run_for(10)


def test_a_load_left_running_is_stopped_and_told(serve, load, locustfile):
    """A test that ends before its load does gets an error, and the load is gone."""
    traffic = load(locustfile(), users=1, host=serve().url).begin()
    traffic.wait_for_requests(1)
    assert traffic.running
    with pytest.raises(LoadFailed, match=r"test ended while its load still ran: users-1 \(\d+ requests\)"):
        load.close()
    assert not traffic.running
    assert gone(traffic._process.pid)
    load.close()


def test_tasks_that_never_reach_a_request_are_told(serve, load, locustfile):
    """A locustfile whose tasks raise before any request is an error, not an empty success."""
    text = (
        "from locust import task\nfrom pytest_enterprise.load.users import EnterpriseUser\n"
        "class Broken(EnterpriseUser):\n    rate = 20\n    @task\n    def visit(self):\n        1 / 0\n"
    )
    with pytest.raises(LoadFailed, match="made no request: its tasks raised ZeroDivisionError"):
        with load(locustfile(text), users=1, host=serve().url) as traffic:
            traffic.run_for(0.5)
    assert traffic.user_errors


def test_a_test_that_fails_keeps_its_own_error(serve, load, locustfile):
    """An error in the block is what comes out; the load is stopped all the same."""
    with pytest.raises(ZeroDivisionError):
        with load(locustfile(), users=1, host=serve().url) as traffic:
            1 / 0  # noqa: B018
    assert traffic.finished


def test_waiting_in_vain_for_requests_is_told(serve, load, locustfile):
    """wait_for_requests says what there was instead."""
    with load(locustfile(rate=0.001), users=1, host=serve().url) as traffic:
        with pytest.raises(LoadFailed, match=r"did not make 5 requests within 0.3 s: 0 requests, 0 failed"):
            traffic.wait_for_requests(5, timeout=0.3)


def test_a_load_is_begun_once(serve, load, locustfile):
    """begin() twice, and use before begin(), are told; end() twice is fine."""
    traffic = load(locustfile(), users=1, host=serve().url)
    with pytest.raises(LoadFailed, match="not been begun"):
        traffic.run_for(1)
    assert traffic.records() == traffic.operations() == []
    traffic.end()
    traffic.begin()
    with pytest.raises(LoadFailed, match="begun already"):
        traffic.begin()
    traffic.end()
    traffic.end()


def test_locust_dies_with_its_parent(serve, locustfile, tmp_path):
    """When the process that began a load gets SIGKILL, Locust's process leaves at once."""
    server = serve()
    program = f"""
import time
from pytest_enterprise.load.generator import Load
from pytest_enterprise.run import Run
from pytest_enterprise.settings import Settings
traffic = Load(Run(Settings(reports={str(tmp_path / "r")!r})), "t")({str(locustfile())!r}, users=2, host={server.url!r})
traffic.begin()
print(traffic._process.pid, flush=True)
time.sleep(60)
"""
    with subprocess.Popen((sys.executable, "-c", program), stdout=subprocess.PIPE, text=True) as parent:
        pid = int(parent.stdout.readline())
        assert Path(f"/proc/{pid}").exists()
        parent.kill()
        assert gone(pid)


def test_locust_dies_even_when_its_tasks_never_yield(serve, load, locustfile, tmp_path):
    """A locustfile that keeps the processor busy cannot keep the process alive after its parent."""
    text = (
        "from locust import task\nfrom pytest_enterprise.load.users import EnterpriseUser\n"
        "class Busy(EnterpriseUser):\n    rate = 20\n    @task\n    def visit(self):\n        while True: pass\n"
    )
    path = locustfile(text)
    receive, send = os.pipe()
    child = subprocess.Popen(
        (sys.executable, "-m", "pytest_enterprise.load.locust_child", str(send)),
        stdin=subprocess.PIPE,
        pass_fds=(send,),
    )
    os.close(send)
    settings = {
        "locustfile": str(path),
        "arrivals": None,
        "users": 1,
        "spawn_rate": None,
        "host": "http://127.0.0.1:1",
        "classes": [],
        "seconds": None,
        "seed": 1,
        "options": {},
        "record": str(tmp_path / "busy"),
        "parent": os.getpid(),
    }
    child.stdin.write(json.dumps(settings).encode() + b"\n")
    child.stdin.flush()
    with os.fdopen(receive) as told:
        assert json.loads(told.readline())["event"] == "ready"
        time.sleep(0.2)
        child.stdin.close()
        assert child.wait(5) == 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"users": 0}, r"users=0 is not possible; give a whole number above 0"),
        ({"users": 1.5}, r"users=1.5 is not possible"),
        ({"users": True}, r"users=True is not possible"),
        ({"users": 1, "seconds": 0}, r"seconds=0 is not possible; give a number above 0"),
        ({"users": 1, "seconds": -1}, r"seconds=-1"),
        ({"users": 1, "spawn_rate": "fast"}, r"spawn_rate='fast'"),
        ({"users": 1, "host": "localhost:80"}, r"host 'localhost:80' is not a base URL; write http://HOST:PORT"),
        ({"users": 1, "host": "http://a:b"}, r"host 'http://a:b' is not a base URL"),
        ({"users": 1, "host": "http://"}, r"host 'http://' is not a base URL"),
        ({"users": 1, "host": None}, r"needs a host"),
        ({"users": 1, "options": {"x": object()}}, r"cannot be handed over"),
        ({"locustfile": "usrs.py"}, r"'usrs.py' does not exist \(looked for /.*/usrs.py\). Did you mean 'users.py'"),
        ({"locustfile": None}, r"no locustfile is given"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_starts(run, locustfile, monkeypatch, arguments, message):
    """A bad value is told with the value, the rule and the way out."""
    from pytest_enterprise.load.generator import Load

    path = locustfile()
    monkeypatch.chdir(path.parent)
    load = Load(run, "test")
    given = {"host": "http://127.0.0.1:1", "locustfile": "users.py", **arguments}
    with pytest.raises(ConfigurationError, match=message):
        load(given.pop("locustfile"), **given)
    assert not (run.directory / "load").exists()


def test_defaults_of_the_fixture_are_used(run, locustfile, serve):
    """The fixture's own locustfile, host and link are taken when a test names none."""
    from pytest_enterprise.load.generator import Load

    server, path = serve(), locustfile()
    load = Load(run, "t", path.name, lambda: server.url + "/", root=path.parent, link_of=lambda host: f"to {host}")
    with load(users=1) as traffic:
        traffic.wait_for_requests(1)
    assert load.all == (traffic,)
    [started] = [e for e in events.read(run.directory) if e["kind"] == "load.started"]
    assert started["link"] == f"to {server.url}"
    assert started["locustfile"] == str(path)


def test_asynchronous_tests_can_use_a_load(serve, load, locustfile):
    """`async with` keeps the event loop free while a load begins and ends."""

    async def use():
        async with load(locustfile(), users=1, host=serve().url) as traffic:
            while not traffic.requests:
                await asyncio.sleep(0.05)
        return traffic

    assert asyncio.run(asyncio.wait_for(use(), 20)).finished


def test_a_syntax_error_is_shown_with_file_line_and_text(load, locustfile):
    """A locustfile that does not compile is refused with the line that is wrong."""
    path = locustfile("import locust\nclass Visitor(:\n    pass\n")
    with pytest.raises(ConfigurationError, match=rf"syntax error: .*\n  {path}:2: class Visitor\(:"):
        load(path, users=1, host="http://127.0.0.1:1")
    path.write_bytes(b"x = '\0'")
    with pytest.raises(ConfigurationError, match=r"(?i)null bytes"):
        load(path, users=1, host="http://127.0.0.1:1")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "import nothing_of_that_name\n",
            r"raised ModuleNotFoundError when imported.*nothing_of_that_name'\n .*:1: imp",
        ),
        ("import sys\nsys.exit(4)\n", r"raised SystemExit when imported: 4\n .*:2: sys.exit"),
        ("import locust\n", r"has no user class; define one that derives from"),
    ],
)
def test_a_locustfile_that_cannot_be_used_is_told(load, locustfile, run, text, message):
    """What goes wrong when the locustfile is imported is told by begin(), and nothing is left."""
    traffic = load(locustfile(text), users=1, host="http://127.0.0.1:1")
    with pytest.raises(ConfigurationError, match=message):
        traffic.begin()
    assert gone(traffic._process.pid)
    assert not [e for e in events.read(run.directory) if e["kind"].startswith("load.")]


def test_without_locust_the_way_out_is_told(load, locustfile, monkeypatch):
    """When Locust is not installed, the message says how to get it."""
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ConfigurationError, match=r"pip install 'pytest-enterprise\[load\]'"):
        load(locustfile(), users=1, host="http://127.0.0.1:1")


def test_locust_is_never_imported_by_the_parent():
    """The parent's side of a load imports neither Locust nor gevent."""
    program = (
        "import sys\nbefore = set(sys.modules)\n"
        "import pytest_enterprise.load.generator, pytest_enterprise.load.command\n"
        "new = {m.partition('.')[0] for m in set(sys.modules) - before}\n"
        "print(sorted(new & {'locust', 'gevent', 'requests', 'asyncio'}))"
    )
    assert subprocess.run((sys.executable, "-c", program), capture_output=True, text=True).stdout == "[]\n"
