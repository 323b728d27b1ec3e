"""What the proxy offers beside Toxiproxy's interface: toxics at creation, closing, strict answers, metrics."""

from __future__ import annotations

import pytest
import toxiproxy


def create(control, upstream, **fields):
    return control.post(
        "/enterprise/proxies", {"name": "link", "listen": "127.0.0.1:0", "upstream": upstream, **fields}
    )


def address(reply):
    assert reply.status == 201, reply.body
    host, port = reply.json()["listen"].rsplit(":", 1)
    return host, int(port)


def test_toxics_given_at_creation_act_on_the_first_connection(control, echo, wire):
    reply = create(control, echo.address, toxics=[{"type": "latency", "attributes": {"latency": 300}}])
    assert wire(address(reply)).echo() >= 0.3
    assert [toxic["name"] for toxic in reply.json()["toxics"]] == ["latency_downstream"]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"upstrem": 1}, "unknown field 'upstrem'"),
        ({"toxics": [{"type": "latncy"}]}, "unknown toxic type 'latncy'; known: bandwidth, blackhole"),
        ({"toxics": [{"type": "latency", "toxicity": 1.5}]}, "toxicity 1.5 is a share"),
        ({"toxics": [{"type": "latency", "attributes": {"latency": -1}}]}, "latency is -1"),
        ({"toxics": [{"type": "latency", "attributes": {"delay": 1}}]}, "unknown field 'delay'"),
        ({"toxics": [{"type": "loss", "attributes": {"probability": 2}}]}, "probability is 2"),
        ({"toxics": [{"type": "noop"}, {"type": "noop"}]}, "toxic already exists"),
        ({"toxics": [{"type": "noop", "stream": "both"}]}, "stream was invalid"),
        ({"toxics": "noop"}, "cannot unmarshal string"),
        ({"toxics": [1]}, "cannot unmarshal number 1"),
    ],
)
def test_nonsense_is_refused_with_its_reason_and_nothing_is_stored(control, fields, message):
    reply = create(control, "127.0.0.1:9", **fields)
    assert reply.status in (400, 409)
    assert message in reply.json()["error"]
    assert control.get("/proxies").json() == {}


def test_missing_and_double_names_are_refused(control):
    assert control.post("/enterprise/proxies", {"upstream": "127.0.0.1:9"}).status == 400
    assert create(control, "127.0.0.1:9").status == 201
    assert create(control, "127.0.0.1:9").status == 409


def test_a_proxy_can_be_created_disabled(control):
    assert create(control, "127.0.0.1:9", enabled=False).json()["enabled"] is False


def test_a_link_that_refuses_ends_what_is_open_and_resets_and_counts_what_comes(control, echo, wire):
    link = control.create(echo.address)
    open_one = wire(link)
    open_one.echo()
    assert control.post("/enterprise/proxies/link/refuse", {"refuse": True}).json() == {"closed": 1}
    assert open_one.read_all() == b""
    for _ in range(3):
        with pytest.raises(OSError):
            wire(link).echo()
    assert control.get("/enterprise/counters").json()["link"]["connections_refused"] == 3
    assert control.post("/enterprise/proxies/link/refuse", {"refuse": False}).json() == {"closed": 0}
    wire(link).echo()
    assert control.post("/enterprise/proxies/link/refuse", {}).status == 400
    control.post("/enterprise/proxies/link/refuse", {"refuse": True})
    control.post("/reset")
    wire(link).echo()


def test_close_with_reset_resets_all_and_counts_them(control, echo, wire):
    link = control.create(echo.address)
    clients = [wire(link) for _ in range(3)]
    for client in clients:
        client.echo()
    assert control.post("/enterprise/proxies/link/close", {"how": "reset"}).json() == {"closed": 3}
    for client in clients:
        with pytest.raises(ConnectionResetError):
            client.read_all()
    assert control.counters()["connections_reset"] == 3
    wire(link).echo()


def test_close_with_fin_ends_all_and_counts_no_reset(control, echo, wire):
    client = wire(control.create(echo.address))
    client.echo()
    assert control.post("/enterprise/proxies/link/close", {"how": "fin"}).json() == {"closed": 1}
    assert client.read_all() == b""
    assert control.counters()["connections_reset"] == 0


@pytest.mark.parametrize("body", [{}, {"how": "gently"}, {"how": 1}, b"{", {"how": "fin", "when": "now"}])
def test_close_with_nonsense_is_400(control, body):
    control.create("127.0.0.1:9")
    assert control.post("/enterprise/proxies/link/close", body).status == 400


def test_close_of_an_unknown_proxy_is_404(control):
    assert control.post("/enterprise/proxies/link/close", {"how": "fin"}).status == 404


@pytest.mark.parametrize(
    "body",
    [{}, {"name": "t", "routes": {"a": 1}}, {"name": "t", "routes": []}, {"name": "t", "route": {}}, {"name": 1}, b"{"],
)
def test_a_tunnel_of_nonsense_is_400(control, body):
    assert control.post("/enterprise/tunnels", body).status == 400


def test_a_tunnel_that_cannot_bind_is_500(control, echo):
    assert control.post("/enterprise/tunnels", {"name": "t", "listen": echo.address}).status == 500


def test_toxic_counters_survive_removal_until_the_proxy_is_deleted(control, echo, wire):
    client = wire(control.create(echo.address))
    control.toxic("noop")
    client.echo(b"12345")
    control.remove()
    client.echo(b"12345")
    assert control.counters()["toxics"]["t"]["bytes"] == 5
    control.toxic("noop")
    client.echo(b"12345")
    assert control.counters()["toxics"]["t"]["bytes"] == 10
    control.delete("/proxies/link")
    control.create(echo.address)
    assert control.counters()["toxics"] == {}


def test_metrics_count_bytes_per_direction(control, echo, wire):
    wire(control.create(echo.address, name='a "quoted" link')).echo(b"12345")
    text = control.get("/metrics").body.decode()
    for verb in ("received", "sent"):
        for direction in ("upstream", "downstream"):
            line = next(
                line
                for line in text.splitlines()
                if line.startswith(f'toxiproxy_proxy_{verb}_bytes_total{{direction="{direction}"')
            )
            assert r'proxy="a \"quoted\" link"' in line
            assert line.endswith(" 5")


@pytest.fixture
def client(control, monkeypatch):
    monkeypatch.setattr(toxiproxy.server.APIConsumer, "host", control.address[0])
    monkeypatch.setattr(toxiproxy.server.APIConsumer, "port", control.address[1])
    return toxiproxy.Toxiproxy()


def test_toxiproxy_python_works_unchanged(client, echo, wire):
    """The client creates, disturbs, disables, resets and destroys; links may have arrows in their names."""
    assert client.running()
    assert b"version" in client.version()
    proxy = client.create(name="agent-service-1 -> postgres", upstream=echo.address)
    host, port = proxy.listen.rsplit(":", 1)
    link = (host, int(port))
    proxy.add_toxic(type="latency", attributes={"latency": 300})
    assert wire(link).echo() >= 0.3
    assert proxy.get_toxic("latency_downstream").attributes["latency"] == 300
    proxy.destroy_toxic("latency_downstream")
    assert proxy.toxics() == {}
    with proxy.down(), pytest.raises(ConnectionRefusedError):
        wire(link)
    wire(link).echo()
    proxy.add_toxic(type="timeout", stream="upstream", toxicity=0.0)
    client.reset()
    assert client.get_proxy(proxy.name).toxics() == {}
    client.populate([{"name": "second", "upstream": echo.address, "listen": "127.0.0.1:0"}])
    assert sorted(client.proxies()) == ["agent-service-1 -> postgres", "second"]
    client.destroy_all()
    assert client.proxies() == {}


def test_toxiproxy_python_gets_its_own_errors(client, echo):
    proxy = client.create(name="p", upstream=echo.address)
    with pytest.raises(toxiproxy.api.InvalidToxic):
        proxy.add_toxic(type="nonsense")
    proxy.add_toxic(type="noop")
    with pytest.raises(toxiproxy.api.ProxyExists):
        proxy.add_toxic(type="noop")
    with pytest.raises(toxiproxy.api.NotFound):
        proxy.destroy_toxic("absent")


def test_a_toxic_of_our_own_interface_takes_fractions_of_milliseconds(control, echo, wire):
    """Toxiproxy's interface, as Toxiproxy itself, refuses them."""
    client = wire(control.create(echo.address))
    wanted = {"type": "latency", "attributes": {"latency": 200.5}}
    assert control.post("/proxies/link/toxics", wanted).status == 400
    reply = control.post("/enterprise/proxies/link/toxics", wanted)
    assert (reply.status, reply.json()["attributes"]) == (201, {"latency": 200.5, "jitter": 0})
    assert client.echo() >= 0.2005


def test_a_toxic_of_our_own_interface_is_checked(control):
    control.create("127.0.0.1:9")
    wanted = {"type": "latency", "attributes": {"latency": -0.5}}
    assert control.post("/enterprise/proxies/link/toxics", wanted).status == 400
    assert control.post("/enterprise/proxies/absent/toxics", wanted).status == 404
    assert control.get("/proxies/link/toxics").json() == []


def test_ten_thousand_proxies_are_no_trouble(control):
    many = [
        {"name": f"p{n}", "listen": "127.0.0.1:0", "upstream": "127.0.0.1:9", "enabled": False} for n in range(10_000)
    ]
    assert control.post("/populate", many).status == 201
    assert len(control.get("/proxies").json()) == 10_000
    assert len(control.get("/enterprise/counters").json()) == 10_000
    for name in ("p0", "p9999"):
        assert control.delete(f"/proxies/{name}").status == 204
    assert control.post("/populate", []).status == 201
