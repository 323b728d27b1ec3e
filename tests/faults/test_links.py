"""Faults of links beyond the first set: each felt by a real server's client, each gone afterwards."""

import http.client
import socket
import time
import urllib.error

import psycopg
import pytest

from pytest_enterprise.errors import ConfigurationError
from pytest_enterprise.session import system


@pytest.fixture
def connection(live):
    """A connection to the first file server that is kept open."""
    connection = http.client.HTTPConnection(str(live.address("files-1")), timeout=5)
    yield connection
    connection.close()


def fetch(connection, path="/big"):
    connection.request("GET", path)
    return connection.getresponse().read()


def facts(live, fault):
    from pytest_enterprise import events

    [ended] = [e for e in events.read(live.run.directory) if e["kind"] == "fault.ended" and e["fault"] == fault.id]
    return ended["evidence"]


def test_pieces_and_gaps(faults, get, live):
    with faults.slicer("load -> files-1", 20_000, gap=0.02) as slow:
        assert get(path="/big") >= 0.1
    assert get(path="/big") < 0.1
    assert facts(live, slow)["delayed_ms"] > 100


def test_a_late_hang_up(faults, live):
    def seconds():
        with socket.create_connection(live.address("files-1"), timeout=5) as raw:
            raw.sendall(b"GET /nothing HTTP/1.0\r\n\r\n")
            began = None
            while data := raw.recv(65536):
                began = time.monotonic() if data else began
            return time.monotonic() - began

    with faults.slow_close("load -> files-1", 0.3, direction="downstream"):
        assert seconds() >= 0.29
    assert seconds() < 0.25


def test_a_transfer_that_breaks_off(faults, connection):
    with faults.limit("load -> files-1", 50_000), pytest.raises(http.client.IncompleteRead):
        fetch(connection)
    connection.close()
    assert len(fetch(connection)) == 200_000


def test_refused_while_open_connections_go_on(faults, connection, get):
    fetch(connection)
    with faults.refuse("load -> files-1"):
        assert len(fetch(connection)) == 200_000
        with pytest.raises((OSError, urllib.error.URLError)):
            get()
    assert get() < 1


def test_frozen_and_nothing_lost(faults, connection):
    fetch(connection)
    with faults.freeze("load -> files-1"):
        connection.request("GET", "/big")
        connection.sock.settimeout(0.3)
        with pytest.raises(TimeoutError):
            connection.sock.recv(1, socket.MSG_PEEK)
        connection.sock.settimeout(5)
    assert len(connection.getresponse().read()) == 200_000


def test_changed_bytes(faults, connection, live):
    with faults.corruption("load -> files-1", when={"from_byte": 1000}) as spoilt:
        body = fetch(connection)
    assert len(body) == 200_000
    assert body.strip(b"\0")
    assert facts(live, spoilt)["corrupted_chunks"] > 0
    connection.close()
    assert not fetch(connection).strip(b"\0")


def test_lost_parts(faults, connection):
    with faults.loss("load -> files-1", 1.0, direction="downstream"):
        connection.request("GET", "/")
        connection.sock.settimeout(0.3)
        with pytest.raises(TimeoutError):
            connection.getresponse()
    connection.close()
    assert len(fetch(connection)) == 200_000


def test_http_errors_by_route(faults, get, live):
    with faults.http("load -> files-1", route="GET /big", status=503, body="later") as wrong:
        with pytest.raises(urllib.error.HTTPError, match="503"):
            get(path="/big")
        assert get(path="/") < 1
    assert get(path="/big") < 1
    assert facts(live, wrong)["http_messages"] == 1


def test_conditions_reach_the_proxy(faults, get):
    with faults.latency("load -> files-1", 0.3, when={"first_connections": 1}):
        assert get() >= 0.3
        assert get() < 0.25


def test_an_ambiguous_commit_in_postgres(faults, live):
    """The client sees a broken connection; the row is there all the same."""
    live.ensure("postgres")
    address = live.address("postgres")
    dsn = f"host={address.host} port={address.port} user=postgres dbname=app"
    with psycopg.connect(dsn) as setup:
        setup.execute("CREATE TABLE IF NOT EXISTS orders (id int)")
    with faults.cut_answer("load -> postgres", protocol="postgres", match="(?i)^commit") as cut:
        unlucky = psycopg.connect(dsn)
        unlucky.execute("INSERT INTO orders VALUES (1)")
        with pytest.raises(psycopg.OperationalError):
            unlucky.commit()
    assert facts(live, cut)["cut_answers"] == 1
    with psycopg.connect(dsn) as after:
        assert after.execute("SELECT id FROM orders").fetchall() == [(1,)]


def test_an_ambiguous_put_over_grpc(faults, live):
    """The client's call fails although the key is stored; calls that are not meant go through."""
    import asyncio

    import aetcd

    live.ensure("etcd")
    address = live.address("etcd-1")

    async def put_and_get():
        async with aetcd.Client(host=address.host, port=address.port, timeout=3) as client:
            await client.get(b"/before")
            try:
                await client.put(b"/order", b"1")
            except Exception as error:
                return type(error).__name__
            return "no error"

    with faults.cut_answer("load -> etcd-1", protocol="grpc", match="KV/Put", limit=1) as cut:
        assert asyncio.run(put_and_get()) != "no error"
    assert facts(live, cut)["cut_answers"] == 1
    assert system("registry", live).items("/order") == {"/order": "1"}


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda f: f.latency("load -> files", 1, when={"first": 1}), "when has no condition 'first'. Did you mean"),
        (lambda f: f.http("load -> files"), "it would change nothing"),
        (lambda f: f.http("load -> files", status=99), "status=99 is out of range"),
        (lambda f: f.http("load -> files", status=500, route="("), r"route='\(' is no regular expression"),
        (lambda f: f.cut_answer("load -> files", protocol="smtp"), "protocol='smtp' is unknown"),
        (lambda f: f.cut_answer("load -> files", match="["), r"match='\[' is no regular"),
        (lambda f: f.cut_answer("load -> files", limit=0), "limit=0 is out of range"),
        (lambda f: f.loss("load -> files", 1.5), "probability=1.5 is out of range"),
        (lambda f: f.corruption("load -> files", bits=0), "bits=0 is out of range"),
        (lambda f: f.slicer("load -> files", 0), "size=0 is out of range"),
        (lambda f: f.limit("load -> files", -1), "size=-1 is out of range"),
        (lambda f: f.topology("etcd", "star"), "shape='star' does not exist. Known: bridge, halves"),
        (lambda f: f.topology("files", "halves"), "halves needs at least 3 instances, and files means 2"),
        (lambda f: f.topology("files", "isolate"), "no link joins"),
        (lambda f: f.kill("etcd:chief"), "'chief' selects nothing. Known|Did you mean"),
        (lambda f: f.kill("files:leader").begin(), "files has no leader: instances of service are equal"),
        (lambda f: f.kill("files:minority").begin(), "2 instances have no minority"),
        (lambda f: f.kill("zone=c"), "no instance has the label zone=c. Did you mean"),
        (lambda f: f.flapping(f.noop(), on=0), "flapping: on=0"),
        (lambda f: f.restart("files", down_for=-1), "down_for=-1"),
        (lambda f: f.crash_loop("files", up=-1), "up=-1"),
    ],
)
def test_what_cannot_be_meant_is_refused(faults, make, message):
    with pytest.raises(ConfigurationError, match=message):
        make(faults)
