"""Packets that are lost, late, doubled and out of order, for real servers; and a network that is well afterwards."""

import math
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import psycopg
import pytest

from pytest_enterprise import Link, Postgres, Service, Stack, events
from pytest_enterprise.engines import packets
from pytest_enterprise.errors import ActedOnNothing, ConfigurationError
from pytest_enterprise.faults.session import Faults
from pytest_enterprise.live import LiveStack
from pytest_enterprise.runtimes import docker_socket, wires

TALKER = Path(__file__).with_name("talker.py")
FILES = ("{python}", "-m", "http.server", "{port}", "--bind", "{bind}")
COUNT = 2000
_FORCED_RECEIVE_BUFFER = 33


def needs_packets():
    """Skips where the machine refuses; what the project itself installs must be there."""
    if reason := packets.why_not():
        pytest.fail(reason) if os.environ.get("CI") and os.geteuid() == 0 else pytest.skip(reason)


def talker(**settings):
    command = (sys.executable, str(TALKER), "{bind}", "{port}", "{link[files]}")
    return Service(name="talker", command=command, packets=True, **settings)


@pytest.fixture(scope="module")
def live(new_run):
    needs_packets()
    spec = Stack(
        [talker(replicas=2), Service(name="files", command=FILES), Postgres(name="postgres", packets=True)],
        [Link("talker", "files"), Link("load", "talker"), Link("load", "files"), Link("load", "postgres")],
    )
    with LiveStack(new_run(runtime="process", seed=11), spec) as live:
        yield live


@pytest.fixture
def faults(live):
    faults = Faults(live, "test")
    yield faults
    faults.close()


@pytest.fixture
def get(live):
    """What an instance answers, and the seconds that it took."""

    def get(path="/", instance="talker-1"):
        began = time.monotonic()
        with urllib.request.urlopen(live.url(instance, path), timeout=60) as answer:
            return answer.read(), time.monotonic() - began

    return get


class Datagram(NamedTuple):
    number: int
    took: float


@pytest.fixture
def datagrams(live, get):
    """Datagrams of an instance in the order of their arrival."""

    def datagrams(count=COUNT, instance="talker-1"):
        arrived = []
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
            receiver.setsockopt(socket.SOL_SOCKET, _FORCED_RECEIVE_BUFFER, 1 << 24)
            receiver.bind((live.running.network(instance).block.outside, 0))
            host, port = receiver.getsockname()
            receiver.settimeout(1)

            def receive():
                try:
                    while True:
                        number, sent = receiver.recv(100).split()
                        arrived.append(Datagram(int(number), time.monotonic() - float(sent)))
                except TimeoutError:
                    return

            reader = threading.Thread(target=receive)
            asker = threading.Thread(target=get, args=(f"/datagrams/{host}/{port}/{count}", instance))
            asker.start()
            reader.start()
            asker.join()
            reader.join()
        return arrived

    return datagrams


def evidence(live, fault):
    [ended] = [e for e in events.read(live.run.directory) if e["kind"] == "fault.ended" and e["fault"] == fault.id]
    return ended["evidence"]


def likely(count, share):
    """The numbers that a share of ``count`` is between, but for one time in a thousand."""
    spread = 3.3 * math.sqrt(count * share * (1 - share)) + 1
    return count * share - spread, count * share + spread


def overtakings(arrived):
    return sum(later.number < earlier.number for earlier, later in pairwise(arrived))


def all_is_well(arrived, count=COUNT):
    return [datagram.number for datagram in arrived] == list(range(count))


def test_a_share_is_lost(live, faults, datagrams):
    """Without a word to the sender, and to one instance alone; the kernel counts the same."""
    with faults.packets("talker-1", loss=0.1) as fault:
        arrived = datagrams()
        assert all_is_well(datagrams(200, "talker-2"), 200)
    lost = COUNT - len(arrived)
    low, high = likely(COUNT, 0.1)
    assert low <= lost <= high
    assert evidence(live, fault)["seen"] > COUNT
    assert lost <= evidence(live, fault)["lost"] <= high + 20
    assert all_is_well(datagrams())


def test_a_share_comes_twice(live, faults, datagrams):
    with faults.packets("talker-1", duplicate=0.1) as fault:
        arrived = datagrams()
    low, high = likely(COUNT, 0.1)
    twice = len(arrived) - COUNT
    assert low <= twice <= high
    assert {datagram.number for datagram in arrived} == set(range(COUNT))
    assert twice <= evidence(live, fault)["duplicated"] <= high + 20
    assert all_is_well(datagrams())


def test_all_are_late(live, faults, datagrams):
    with faults.packets("talker-1", delay=0.05) as fault:
        arrived = datagrams()
    assert all_is_well(arrived)
    assert min(datagram.took for datagram in arrived) >= 0.05
    assert evidence(live, fault)["delayed"] >= COUNT
    assert min(datagram.took for datagram in datagrams()) < 0.05


def test_delays_differ(faults, datagrams):
    """By the jitter and no more, evenly spread; so some overtake others."""
    with faults.packets("talker-1", delay=0.05, jitter=0.04):
        arrived = datagrams()
    assert sorted(datagram.number for datagram in arrived) == list(range(COUNT))
    assert 0.01 <= min(datagram.took for datagram in arrived) < 0.02
    assert max(datagram.took for datagram in arrived) > 0.08
    assert overtakings(arrived)


def test_a_share_overtakes(live, faults, datagrams):
    with faults.packets("talker-1", delay=0.2, reorder=0.1) as fault:
        arrived = datagrams()
    assert sorted(datagram.number for datagram in arrived) == list(range(COUNT))
    low, high = likely(COUNT, 0.1)
    assert low <= sum(datagram.took < 0.2 for datagram in arrived) <= high
    assert overtakings(arrived)
    told = evidence(live, fault)
    if told["by"] != "netem":
        assert low - 10 <= told["reordered"] <= high + 20
    assert all_is_well(datagrams())


def retransmitted(live, instance):
    """TCP segments that its network sent again, as the kernel counts."""
    [pid, *_] = live.portal.call(live.running.instance(instance).pids())
    names, values = (
        line.split() for line in Path(f"/proc/{pid}/net/snmp").read_text().splitlines() if line.startswith("Tcp:")
    )
    return int(dict(zip(names, values, strict=True))["RetransSegs"])


def test_connections_carry_on(live, faults, get):
    """TCP repairs all of it: every byte is there, and some were sent twice."""
    size = 300_000
    whole, _ = get(f"/bytes/{size}")
    before = retransmitted(live, "talker-1")
    with faults.packets("talker-1", loss=0.1, delay=0.002, duplicate=0.1, reorder=0.1) as fault:
        assert get(f"/bytes/{size}")[0] == whole
    assert len(whole) == size
    assert retransmitted(live, "talker-1") > before
    told = evidence(live, fault)
    assert min(told[what] for what in ("lost", "delayed", "duplicated")) > 0


def test_requests_wait_for_what_was_lost(faults, get):
    """The kernel sends a lost segment again after 0.2 s at the earliest."""
    assert min(get()[1] for _ in range(5)) < 0.1
    with faults.packets("talker", loss=0.5):
        assert max(get()[1] for _ in range(6)) >= 0.2
    assert min(get()[1] for _ in range(5)) < 0.1


def test_a_network_stays_bad_over_a_restart(live, faults, get):
    with faults.packets("talker-1", delay=0.1):
        with faults.kill("talker-1"):
            pass
        assert get()[1] >= 0.1
        with faults.restart("talker-1"):
            assert get()[1] >= 0.1
    assert min(get()[1] for _ in range(5)) < 0.1
    with faults.kill("talker-1"):
        begun_while_down = faults.packets("talker-1", delay=0.1).begin()
    assert get()[1] >= 0.1
    begun_while_down.end()
    assert min(get()[1] for _ in range(5)) < 0.1


def test_others_are_reached_through_the_proxy(live, faults, get):
    """From a network of its own as well, so that the links of such an instance have their faults too."""
    assert b"Directory listing" in get("/neighbour")[0]
    with faults.latency("talker-1 -> files", 0.2):
        assert get("/neighbour")[1] >= 0.2
        assert get("/neighbour", "talker-2")[1] < 0.2


def test_an_added_instance_has_a_network_too(live, faults, get):
    added = live.add("talker")
    try:
        assert b"Directory listing" in get("/neighbour", added)[0]
        with faults.packets(added, delay=0.1):
            assert get("/", added)[1] >= 0.1
        started = [e["engine"] for e in events.read(live.run.directory) if e["kind"] == "engine.starting"]
        assert started.count(added) == 1  # a fault on it does not start it once more
    finally:
        live.remove(added)
    assert not [name for name in live.running.running if added in name]


def test_a_database_feels_it(live, faults):
    """It is a user of its own there, in a network that is root's."""
    address = live.address("postgres")
    dsn = f"host={address.host} port={address.port} user=postgres dbname=app"
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("SELECT 1")
        with faults.packets("postgres", delay=0.1):
            began = time.monotonic()
            connection.execute("SELECT 1")
            assert time.monotonic() - began >= 0.1


def test_a_container_feels_it_in_its_own_network(new_run):
    """Nothing is needed in its image; and so after it was started again, in a network that is new."""
    needs_packets()
    if not docker_socket.answers():
        pytest.fail("no Docker daemon answers") if os.environ.get("CI") else pytest.skip("no Docker daemon answers")
    spec = Stack([Postgres(name="postgres", packets=True)])
    with LiveStack(new_run(runtime="container"), spec) as live:
        live.ensure()
        faults = Faults(live, "test")
        address = live.address("postgres")
        dsn = f"host={address.host} port={address.port} user=postgres dbname=app connect_timeout=10"

        def took():
            with psycopg.connect(dsn, autocommit=True) as connection:
                began = time.monotonic()
                connection.execute("SELECT 1")
                return time.monotonic() - began

        assert min(took() for _ in range(3)) < 0.1
        with faults.packets("postgres", delay=0.1) as fault:
            assert took() >= 0.1
            with faults.kill("postgres"):
                pass
            assert took() >= 0.1
        assert min(took() for _ in range(3)) < 0.1
        assert evidence(live, fault)["delayed"] > 0
        with faults.packets("postgres", loss=0.3, duplicate=0.2) as fault:
            for _ in range(5):
                took()
        assert min(evidence(live, fault)[what] for what in ("lost", "duplicated")) > 0
        faults.close()


def test_a_fault_that_no_packet_meets_is_an_error(faults):
    with pytest.raises(ActedOnNothing), faults.packets("talker-2", loss=1e-6):
        pass


def test_two_on_one_network_contradict_each_other(faults):
    with (
        pytest.raises(ConfigurationError, match="contradict each other on talker-2"),
        faults.packets("talker-2", loss=0.1),
        faults.packets("talker", delay=0.1),
    ):
        pass


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda f: f.packets("files", loss=0.1),
            "files has no network of its own; declare its engine with packets=True",
        ),
        (lambda f: f.packets("talker"), "nothing is disturbed"),
        (lambda f: f.packets("talker", loss=1.1), "loss=1.1 is out of range"),
        (lambda f: f.packets("talker", duplicate=-0.1), "duplicate=-0.1 is out of range"),
        (lambda f: f.packets("talker", loss="5 %"), "is not a number of a share"),
        (lambda f: f.packets("talker", delay=1e9), "delay=1e[+]?09|delay=1000000000.0 is out of range"),
        (lambda f: f.packets("talker", delay=0.1, jitter=0.2), "jitter=0.2 is more than delay=0.1"),
        (lambda f: f.packets("talker", reorder=0.1), "reorder=0.1 needs a delay"),
    ],
)
def test_what_cannot_be_meant_is_refused(faults, make, message):
    with pytest.raises(ConfigurationError, match=message):
        make(faults)


@pytest.mark.parametrize(
    ("settings", "engine", "message"),
    [
        ({"direct": True}, {}, "leave --enterprise-direct away"),
        ({"url": {"proxy": "http://127.0.0.1:8474"}}, {}, "leave a Toxiproxy of your own away"),
        ({}, {"names": True}, "names=True finds no resolver"),
    ],
)
def test_networks_that_would_reach_nothing_are_refused(new_run, settings, engine, message):
    needs_packets()
    spec = Stack([talker(**engine), Service(name="files", command=FILES)], [Link("talker", "files")])
    live = LiveStack(new_run(runtime="process", **settings), spec)
    with pytest.raises(ConfigurationError, match=message):
        live.ensure()
    live.close()


def test_a_wire_without_its_maker_is_removed():
    needs_packets()
    gone = subprocess.Popen(("true",))
    gone.wait()
    ours = wires.new_name("token")
    names = {"pe-t1": ours.replace(str(os.getpid()), str(gone.pid), 1), "pe-t2": ours}
    for name, alias in names.items():
        subprocess.run(("ip", "link", "add", name, "type", "veth", "peer", "name", f"{name}p"), check=True)
        subprocess.run(("ip", "link", "set", name, "alias", alias), check=True)
    try:
        assert wires.find_leftovers() == ["pe-t1"]
        assert wires.remove_leftovers() == ["removed the network device pe-t1"]
        assert not Path("/sys/class/net/pe-t1").exists()
        assert Path("/sys/class/net/pe-t2").exists()
    finally:
        for name in names:
            subprocess.run(("ip", "link", "delete", name), stderr=subprocess.DEVNULL)


STACK = """
import sys
import time

from pytest_enterprise import Link, Service, Stack
import pytest

@pytest.fixture(scope="session")
def enterprise_stack_spec():
    command = (sys.executable, {talker!r}, "{{bind}}", "{{port}}", "{{link[files]}}")
    files = ("{{python}}", "-m", "http.server", "{{port}}", "--bind", "{{bind}}")
    engines = [Service(name="talker", command=command, packets=True), Service(name="files", command=files)]
    return Stack(engines, [Link("talker", "files")])

def test_until_killed(stack, faults):
    with faults.packets("talker", loss=0.1, delay=0.01):
        print("disturbed", flush=True)
        time.sleep(60)
"""


def wires_of(pid):
    found = [path.read_text() for path in Path("/sys/class/net").glob("pe-*/ifalias")]
    return [alias for alias in found if alias.startswith(f"pytest-enterprise-packets-{pid}-")]


@pytest.mark.parametrize("supervisor_too", [False, True])
def test_nothing_is_left_when_all_is_killed(pytester, supervisor_too):
    """The wire and all that was put into the network go with its last process; ``down`` ends what survived."""
    needs_packets()
    pytester.makepyfile(STACK.format(talker=str(TALKER)))
    arguments = ("-q", "-s", "--enterprise-runtime=process", "-p", "no:cacheprovider")
    program = (sys.executable, "-m", "pytest", *arguments)
    killed = subprocess.Popen(program, cwd=pytester.path, stdout=subprocess.PIPE, text=True)
    try:
        assert any("disturbed" in line for line in killed.stdout)
        assert len(wires_of(killed.pid)) == 1
        if supervisor_too:
            told = [p for f in Path(f"/proc/{killed.pid}/task").glob("*/children") for p in f.read_text().split()]
            [supervisor] = [p for p in told if b"runtimes.supervisor" in Path(f"/proc/{p}/cmdline").read_bytes()]
            os.kill(int(supervisor), signal.SIGKILL)
    finally:
        killed.kill()
        killed.wait(10)
        killed.stdout.close()
    if supervisor_too:
        assert wires_of(killed.pid)
        down = subprocess.run((sys.executable, "-m", "pytest_enterprise.cli", "down"), capture_output=True, text=True)
        assert down.returncode == 0, down.stderr
    ends = time.monotonic() + 10
    while wires_of(killed.pid) and time.monotonic() < ends:
        time.sleep(0.05)
    assert not wires_of(killed.pid)
