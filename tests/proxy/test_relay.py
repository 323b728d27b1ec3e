"""The relay itself: everything arrives, ends are passed on, dead ends and many connections are coped with."""

from __future__ import annotations

import concurrent.futures
import contextlib
import hashlib
import os
import random
import resource
import socket
import struct
import time
from pathlib import Path

import pytest


@pytest.fixture
def link(control, echo):
    return control.create(echo.address)


@pytest.mark.parametrize("toxic", [None, "noop", "latency", "slicer"])
def test_large_transfers_arrive_whole(control, link, wire, toxic):
    """20 MB there and back at once are unchanged, straight or through a toxic."""
    if toxic:
        control.toxic(toxic, **{"slicer": {"average_size": 20_000}, "latency": {"latency": 1}}.get(toxic, {}))
    data = random.Random(1).randbytes(1 << 20) * 20
    client = wire(link)
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        sending = pool.submit(client.send, data)
        received = client.read(len(data))
        sending.result()
    assert hashlib.sha256(received).digest() == hashlib.sha256(data).digest()
    counters = control.counters()
    assert (counters["bytes_upstream"], counters["bytes_downstream"]) == (len(data), len(data))


def test_a_sender_waits_for_a_slow_receiver(control, wire, serve):
    """What nobody reads is not piled up in the proxy."""
    link = control.create(serve(lambda connection: connection.recv(1, socket.MSG_PEEK) and time.sleep(1)).address)
    client = wire(link)
    client.socket.settimeout(0.3)
    with pytest.raises(TimeoutError):
        for _ in range(2000):
            client.socket.send(b"x" * 65536)


def test_half_close_is_passed_on_and_the_other_half_goes_on(control, wire, serve):
    def answer_at_the_end(connection):
        size = 0
        while data := connection.recv(65536):
            size += len(data)
        connection.sendall(b"%d" % size)

    link = control.create(serve(answer_at_the_end).address)
    client = wire(link)
    client.send(b"x" * 1000)
    client.socket.shutdown(socket.SHUT_WR)
    assert client.read_all() == b"1000"


def test_a_servers_end_reaches_the_client(control, wire, serve):
    link = control.create(serve(lambda connection: connection.sendall(b"bye")).address)
    assert wire(link).read_all() == b"bye"


def test_a_reset_is_passed_on(control, wire, serve):
    def reset(connection):
        connection.recv(1)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    link = control.create(serve(reset).address)
    client = wire(link)
    client.send(b"x")
    with pytest.raises(ConnectionResetError):
        client.read_all()
    assert control.counters()["connections_reset"] == 0, "only our own are counted"


def test_connections_that_ended_are_forgotten(control, link, wire, eventually):
    for _ in range(5):
        client = wire(link)
        client.echo()
        client.socket.close()
    eventually(lambda: control.counters()["connections_open"] == 0)
    assert control.counters()["connections_accepted"] == 5


def test_a_dead_upstream_is_accepted_closed_and_counted(control, wire, free_port):
    link = control.create(f"127.0.0.1:{free_port}")
    assert wire(link).read_all() == b""
    assert control.counters()["connections_refused"] == 1


@pytest.mark.parametrize("upstream", ["localhost:{}", "no-such-host.invalid:{}", "nonsense"])
def test_an_upstream_may_be_a_name(control, echo, wire, upstream):
    """A name is looked up for each connection; one that cannot be found is a dead upstream."""
    link = control.create(upstream.format(echo.address.rsplit(":", 1)[1]))
    client = wire(link)
    if upstream.startswith("localhost"):
        client.echo()
    else:
        assert client.read_all() == b""


def test_an_upstream_that_never_accepts_holds_up_nobody_else(control, link, wire):
    """Its backlog is full, so dialling hangs: the link can still be disabled, and others go on."""
    with socket.socket() as silent, contextlib.ExitStack() as fillers:
        silent.bind(("127.0.0.1", 0))
        silent.listen(0)
        for _ in range(3):
            filler = fillers.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(silent.getsockname())
        stuck = control.create(f"127.0.0.1:{silent.getsockname()[1]}", name="stuck")
        client = wire(stuck)
        assert client.silent()
        wire(link).echo()
        assert control.post("/proxies/stuck", {"enabled": False}).status == 200
        assert client.read_all() == b""


def test_many_connections_at_once(control, link):
    """1,000 are open at once, each is served, and none is left afterwards."""
    with contextlib.ExitStack() as wires:
        clients = [wires.enter_context(socket.create_connection(link, timeout=10)) for _ in range(1000)]
        for number, client in enumerate(clients):
            client.sendall(b"%04d" % number)
        for number, client in enumerate(clients):
            assert client.recv(4) == b"%04d" % number
        assert control.counters()["connections_open"] == 1000


def test_a_disabled_link_ends_connections_with_fin_even_with_data_unread(control, link, wire, eventually):
    """Bytes that the proxy has not read must not turn the FIN into a reset, which a later send would meet."""
    control.toxic("bandwidth", stream="upstream", rate=0)
    client = wire(link)
    client.send(b"x" * 150_000)
    eventually(lambda: control.counters()["toxics"]["t"]["bytes"] > 65536)
    time.sleep(0.05)
    control.post("/proxies/link", {"enabled": False})
    assert client.read_all() == b""
    client.send(b"y")


@pytest.mark.parametrize("toxic", [None, "latency"])
def test_an_end_comes_after_all_data(control, wire, serve, toxic):
    """A server that hangs up while the client is slow to read has lost nothing, even what waits in the proxy."""
    size = 8_000_000
    link = control.create(serve(lambda connection: connection.sendall(b"x" * size)).address)
    if toxic:
        control.toxic(toxic, latency=100)
    client = wire(link)
    client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
    time.sleep(0.5)
    assert len(client.read_all()) == size


def test_a_client_that_dies_behind_backpressure_is_noticed_when_it_is_sent_to(control, wire, serve, eventually):
    """The proxy does not read a client whose server does not read; the server's own data find the client gone."""
    ended = []

    def talk_without_reading(connection):
        for _ in range(400):
            time.sleep(0.02)
            try:
                connection.send(b"x")
            except OSError:
                ended.append(True)
                return

    link = control.create(serve(talk_without_reading).address)
    client = wire(link)
    client.socket.settimeout(0.1)
    with pytest.raises(TimeoutError):
        for _ in range(2000):
            client.socket.send(b"x" * 65536)
    client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.socket.close()
    eventually(lambda: ended, 7)
    eventually(lambda: control.counters()["connections_open"] == 0)


def test_toxics_are_kept_while_a_link_is_disabled(control, link, wire):
    control.toxic("blackhole")
    control.post("/proxies/link", {"enabled": False})
    control.post("/proxies/link", {"enabled": True})
    client = wire(link)
    client.send(b"x")
    assert client.silent()


def test_listens_on_the_address_asked_for_only(control, echo):
    host, port = control.create(echo.address)
    assert host == "127.0.0.1"
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.2", port), timeout=5)


def test_running_out_of_descriptors_passes_when_some_are_free_again(program, echo, wire, eventually):
    """Connections beyond the limit are closed or wait; the program neither ends nor spins."""
    started = program()
    link = started.control.create(echo.address)
    served = wire(link)
    served.echo()
    used = len(list(Path(f"/proc/{started.process.pid}/fd").iterdir()))
    resource.prlimit(started.process.pid, resource.RLIMIT_NOFILE, (used + 5, used + 5))
    with contextlib.ExitStack() as wires:
        for _ in range(30):
            wires.enter_context(socket.create_connection(link, timeout=10))
        before = cpu_seconds(started.process.pid)
        time.sleep(0.3)
        assert cpu_seconds(started.process.pid) - before < 0.2
        served.echo()

    def works():
        with contextlib.suppress(OSError), socket.create_connection(link, timeout=1) as client:
            client.sendall(b"x")
            return client.recv(1) == b"x"
        return False

    eventually(works)


def cpu_seconds(pid):
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
