"""HTTP CONNECT entries: each target leads to its own link."""

from __future__ import annotations

import socket

import pytest


@pytest.fixture
def tunnel(control, echo):
    """The address of a tunnel with a route to an echo server's link."""
    control.create(echo.address)
    reply = control.post(
        "/enterprise/tunnels",
        {"name": "etcd-1", "listen": "127.0.0.1:0", "routes": {"etcd-2:2380": "link", "etcd-3:2380": "absent"}},
    )
    assert reply.status == 201
    host, port = reply.json()["listen"].rsplit(":", 1)
    return host, int(port)


def connect(client, target, early=b""):
    """The status line and the head of the answer to a CONNECT."""
    client.send(f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n".encode() + early)
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        byte = client.read(1)
        assert byte, head
        head += byte
    return head.partition(b"\r\n")[0]


def test_connect_leads_to_the_links_upstream(tunnel, control, wire):
    client = wire(tunnel)
    assert connect(client, "etcd-2:2380") == b"HTTP/1.1 200 Connection established"
    client.echo()
    counters = control.counters()
    assert (counters["connections_accepted"], counters["bytes_upstream"], counters["bytes_downstream"]) == (1, 4, 4)


def test_data_sent_right_after_the_head_are_passed_on(tunnel, wire):
    client = wire(tunnel)
    assert b"200" in connect(client, "etcd-2:2380", early=b"early")
    assert client.read(5) == b"early"


def test_the_links_toxics_act(tunnel, control, wire):
    control.toxic("latency", stream="upstream", latency=300)
    client = wire(tunnel)
    connect(client, "etcd-2:2380")
    assert client.echo() >= 0.3
    control.remove()
    assert client.echo() < 0.3


@pytest.mark.parametrize("target", ["etcd-9:2380", "etcd-3:2380", "127.0.0.1:80"])
def test_no_route_is_403(tunnel, wire, target):
    client = wire(tunnel)
    assert connect(client, target) == b"HTTP/1.1 403 Forbidden"
    assert b"routes: etcd-2:2380, etcd-3:2380" in client.read_all()


def test_a_disabled_link_is_refused_and_counted(tunnel, control, wire):
    open_one = wire(tunnel)
    connect(open_one, "etcd-2:2380")
    control.post("/proxies/link", {"enabled": False})
    assert open_one.read_all() == b""
    assert connect(wire(tunnel), "etcd-2:2380") == b"HTTP/1.1 503 Service Unavailable"
    assert control.counters()["connections_refused"] == 1


def test_a_dead_upstream_is_502(tunnel, control, wire, free_port):
    control.post("/proxies/link", {"upstream": f"127.0.0.1:{free_port}"})
    assert connect(wire(tunnel), "etcd-2:2380") == b"HTTP/1.1 502 Bad Gateway"


@pytest.mark.parametrize("head", [b"GET / HTTP/1.1\r\n\r\n", b"CONNECT etcd-2:2380\r\n\r\n", b"\r\n\r\n"])
def test_anything_but_connect_is_405(tunnel, wire, head):
    client = wire(tunnel)
    client.send(head)
    assert client.read_all().startswith(b"HTTP/1.1 405 ")


def test_an_endless_head_is_cut_off(tunnel, wire):
    client = wire(tunnel)
    client.send(b"CONNECT etcd-2:2380 HTTP/1.1\r\n")
    client.send(b"a: b\r\n" * 3000)
    assert client.read_all().startswith(b"HTTP/1.1 431 ")


def test_a_tunnel_is_replaced_in_place(tunnel, control, wire):
    """New routes under the same listen keep the port."""
    listen = "{}:{}".format(*tunnel)
    reply = control.post("/enterprise/tunnels", {"name": "etcd-1", "listen": listen, "routes": {"new:1": "link"}})
    assert reply.json()["listen"] == listen
    assert b"200" in connect(wire(tunnel), "new:1")
    assert b"403" in connect(wire(tunnel), "etcd-2:2380")
    assert control.get("/enterprise/tunnels").json()["etcd-1"]["routes"] == {"new:1": "link"}


def test_a_tunnel_can_move(tunnel, control, wire, free_port):
    listen = f"127.0.0.1:{free_port}"
    control.post("/enterprise/tunnels", {"name": "etcd-1", "listen": listen, "routes": {"new:1": "link"}})
    assert b"200" in connect(wire(("127.0.0.1", free_port)), "new:1")
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(tunnel, timeout=5)
