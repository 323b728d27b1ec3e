"""A stack whose links go through a Toxiproxy that runs already: here ours, of which only Toxiproxy's part is used."""

import json
import socket
import subprocess
import sys
import time
import urllib.request

import pytest

from pytest_enterprise import Link, Service, Stack, events
from pytest_enterprise.errors import ConfigurationError, EngineFailed
from pytest_enterprise.faults.session import Faults
from pytest_enterprise.live import LiveStack
from pytest_enterprise.proxy_control import ProxyControl

FILES = ("{python}", "-m", "http.server", "{port}", "--bind", "{bind}")
SPEC = Stack(
    [Service(name="files", command=FILES), Service(name="user", command=(*FILES, "--protocol", "HTTP/{link[files]}"))],
    [Link("load", "files"), Link("user", "files")],
)


@pytest.fixture(scope="module")
def toxiproxy():
    """The URL of a running server."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    program = subprocess.Popen((sys.executable, "-m", "pytest_enterprise.proxy", "-port", str(port)))
    url = f"http://127.0.0.1:{port}"
    ends = time.monotonic() + 10
    while True:
        try:
            urllib.request.urlopen(f"{url}/version", timeout=1).close()
            break
        except OSError:
            assert time.monotonic() < ends
            time.sleep(0.02)
    yield url
    program.terminate()
    program.wait()


@pytest.fixture(scope="module")
def asked():
    return []


@pytest.fixture(scope="module")
def live(new_run, toxiproxy, asked):
    call = ProxyControl._call

    def noted(self, method, path, body=None, **options):
        asked.append(path)
        return call(self, method, path, body, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ProxyControl, "_call", noted)
        with LiveStack(new_run(runtime="process", url={"proxy": toxiproxy}), SPEC) as live:
            yield live
        with urllib.request.urlopen(f"{toxiproxy}/proxies") as answer:
            assert json.load(answer) == {}, "what the stack made goes with it"
    assert asked
    assert not [path for path in asked if path.startswith("/enterprise")]


@pytest.fixture
def faults(live):
    faults = Faults(live, "test")
    yield faults
    faults.close()


@pytest.fixture
def get(live):
    def get(timeout=5.0):
        began = time.monotonic()
        urllib.request.urlopen(live.url("files"), timeout=timeout).close()
        return time.monotonic() - began

    return get


def test_latency_is_felt_and_told_to_be_unproven(live, faults, get):
    with faults.latency("load -> files", 0.2) as slow:
        assert get() >= 0.2
    assert get() < 0.2
    [ended] = [e for e in events.read(live.run.directory) if e["kind"] == "fault.ended" and e["fault"] == slow.id]
    assert (ended["proof"], ended["evidence"]) == ("unproven", {})


def test_cuts_and_silence(faults, get):
    with faults.cut("load -> files"), pytest.raises(OSError, match="refused"):
        get()
    get()
    with faults.blackhole("load -> files"), pytest.raises(TimeoutError):
        get(timeout=0.3)
    get()
    with faults.flapping(faults.cut("load -> files"), on=0.2, off=60), pytest.raises(OSError, match="refused"):
        time.sleep(0.05)
        get()
    get()
    with faults.reset("load -> files"), pytest.raises(OSError, match="reset"):
        get()
    get()


def test_a_partition_of_two_engines(live, faults):
    with (
        faults.partition("user", ["files"]),
        socket.create_connection(live.running.links["user -> files"].address, timeout=0.3) as user,
    ):
        user.sendall(b"GET / HTTP/1.0\r\n\r\n")
        with pytest.raises(TimeoutError):
            user.recv(1)


def test_an_engine_off_its_network_is_unproven_too(live, faults, get):
    with faults.disconnect("files") as off, pytest.raises(TimeoutError):
        get(timeout=0.3)
    get()
    [ended] = [e for e in events.read(live.run.directory) if e["kind"] == "fault.ended" and e["fault"] == off.id]
    assert (ended["proof"], ended["acted"]) == ("unproven", True)


def test_links_of_added_instances(live):
    added = live.add("files")
    try:
        urllib.request.urlopen(live.url(added), timeout=5).close()
        assert f"user -> {added}" in live.running.links
    finally:
        live.remove(added)


@pytest.mark.parametrize(
    ("begin", "message"),
    [
        (lambda f: f.freeze("load -> files"), "has no toxic 'freeze'; it has bandwidth, blackhole"),
        (lambda f: f.latency("load -> files", 0.1, when={"first_connections": 1}), "knows no conditions"),
        (lambda f: f.latency("load -> files", 0.0005), "takes whole numbers only, not latency=0.5"),
        (lambda f: f.refuse("load -> files"), "cannot refuse new connections and keep the others"),
    ],
)
def test_what_it_cannot_do_is_refused(faults, get, begin, message):
    with pytest.raises(ConfigurationError, match=message):
        begin(faults).begin()
    assert not faults.active
    get()


def test_where_nobody_answers_the_way_out_is_told(new_run):
    stack = LiveStack(new_run(runtime="process", url={"proxy": "http://127.0.0.1:9"}), SPEC)
    try:
        with pytest.raises(EngineFailed, match=r"no Toxiproxy answers at http://127\.0\.0\.1:9"):
            stack.ensure()
    finally:
        stack.close()


def test_containers_do_not_reach_it(new_run):
    stack = LiveStack(new_run(runtime="container", url={"proxy": "http://127.0.0.1:9"}), SPEC)
    try:
        with pytest.raises(ConfigurationError, match="use --enterprise-runtime=process"):
            stack.ensure()
    finally:
        stack.close()
