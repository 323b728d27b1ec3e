"""Toxiproxy's HTTP interface, as its interface page describes it.

Runs against our proxy; with TOXIPROXY_URL set (``http://127.0.0.1:8474``) against another server on this machine.
"""

from __future__ import annotations

import http.client
import json
import socket
import time

import pytest

UPSTREAM = "127.0.0.1:9"
PLAIN = "text/plain; charset=utf-8"


def proxy(api, name="p", **fields):
    reply = api.post("/proxies", {"name": name, "upstream": UPSTREAM, "listen": "127.0.0.1:0", **fields})
    assert reply.status == 201, reply.body
    return reply.json()


def toxic(api, **fields):
    reply = api.post("/proxies/p/toxics", fields)
    assert reply.status == 200, reply.body
    return reply.json()


def assert_error(reply, status, text):
    """An error in Toxiproxy's form, whose message is ``text`` or begins with it when it ends in "..."."""
    assert reply.status == status, reply.body
    assert reply.body.endswith(b"}\n")
    document = reply.json()
    assert document["status"] == status
    if text.endswith("..."):
        assert document["error"].startswith(text[:-3])
    else:
        assert document["error"] == text
    assert reply.headers["Content-Type"] == PLAIN
    assert reply.headers["X-Content-Type-Options"] == "nosniff"
    assert reply.headers["X-Toxiproxy-Request-Id"]


@pytest.fixture
def taken():
    """The address of a port on which somebody else listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"127.0.0.1:{listener.getsockname()[1]}"


# General.


def test_success_is_json_without_newline_and_carries_a_request_id(api):
    reply = api.get("/proxies")
    assert (reply.status, reply.body) == (200, b"{}")
    assert reply.headers["Content-Type"] == "application/json"
    assert reply.headers["X-Toxiproxy-Request-Id"]


def test_browsers_are_refused(api):
    reply = api.call("GET", "/proxies", headers={"User-Agent": "Mozilla/5.0 (X11)"})
    assert (reply.status, reply.body) == (403, b"User agent not allowed\n")


def test_unknown_path_is_404(api):
    reply = api.get("/nowhere")
    assert (reply.status, reply.body) == (404, b"404 page not found\n")


@pytest.mark.parametrize(
    ("method", "path"), [("PUT", "/proxies"), ("DELETE", "/version"), ("GET", "/reset"), ("GET", "/populate")]
)
def test_wrong_method_is_405_with_an_empty_body(api, method, path):
    reply = api.call(method, path)
    assert (reply.status, reply.body) == (405, b"")


def test_version_is_an_object_with_a_newline(api):
    reply = api.get("/version")
    assert reply.status == 200
    assert reply.body.startswith(b'{"version": "')
    assert reply.body.endswith(b'"}\n')
    assert reply.headers["Content-Type"] == "application/json;charset=utf-8"


# Proxies.


def test_created_proxy_is_returned_whole(api):
    created = proxy(api)
    port = int(created["listen"].rsplit(":", 1)[1])
    assert port > 0
    assert created == {
        "name": "p",
        "listen": f"127.0.0.1:{port}",
        "upstream": UPSTREAM,
        "enabled": True,
        "Logger": {},
        "toxics": [],
    }
    assert api.get("/proxies/p").json() == created
    assert api.get("/proxies").json() == {"p": created}


def test_keys_are_matched_without_case_and_unknown_ones_ignored(api):
    reply = api.post("/proxies", {"NAME": "p", "Upstream": UPSTREAM, "listen": "127.0.0.1:0", "else": [1]})
    assert reply.status == 201
    assert reply.json()["name"] == "p"


def test_listen_is_a_random_port_when_missing(api):
    reply = api.post("/proxies", {"name": "p", "upstream": UPSTREAM})
    assert reply.status == 201
    assert int(reply.json()["listen"].rsplit(":", 1)[1]) > 0


def test_port_0_is_echoed_as_it_is_when_disabled(api):
    created = proxy(api, enabled=False)
    assert (created["listen"], created["enabled"]) == ("127.0.0.1:0", False)


@pytest.mark.parametrize("body", [b"", b"{", b"nonsense", b"[]", b'"text"', b'{"name": 1}', b'{"enabled": "yes"}'])
def test_bad_body_is_400(api, body):
    assert_error(api.post("/proxies", body), 400, "bad request body: ...")


@pytest.mark.parametrize(
    ("body", "field"), [({}, "name"), ({"upstream": UPSTREAM}, "name"), ({"name": "p"}, "upstream")]
)
def test_missing_field_is_named(api, body, field):
    assert_error(api.post("/proxies", body), 400, f"missing required field: {field}")


def test_second_proxy_of_a_name_is_409(api):
    proxy(api)
    assert_error(api.post("/proxies", {"name": "p", "upstream": UPSTREAM}), 409, "proxy already exists")


def test_failed_bind_is_500_and_nothing_is_stored(api, taken):
    reply = api.post("/proxies", {"name": "p", "upstream": UPSTREAM, "listen": taken})
    assert_error(reply, 500, f"listen tcp {taken}: bind: address already in use")
    assert api.get("/proxies").json() == {}


def test_deleted_proxy_is_gone(api):
    proxy(api)
    reply = api.delete("/proxies/p")
    assert (reply.status, reply.body) == (204, b"")
    assert_error(api.get("/proxies/p"), 404, "proxy not found")
    assert_error(api.delete("/proxies/p"), 404, "proxy not found")


@pytest.mark.parametrize("path", ["/proxies/p", "/proxies/p/toxics", "/proxies/p/toxics/t"])
def test_anything_of_an_unknown_proxy_is_404(api, path):
    assert_error(api.get(path), 404, "proxy not found")


@pytest.mark.parametrize("method", ["POST", "PATCH"])
def test_update_changes_upstream_and_enabled_and_keeps_name_and_toxics(api, method):
    proxy(api)
    toxic(api, type="noop")
    reply = api.call(method, "/proxies/p", {"name": "other", "upstream": "127.0.0.1:10", "enabled": False})
    assert reply.status == 200
    updated = reply.json()
    assert (updated["name"], updated["upstream"], updated["enabled"]) == ("p", "127.0.0.1:10", False)
    assert [entry["name"] for entry in updated["toxics"]] == ["noop_downstream"]


def test_update_of_nothing_changes_nothing(api):
    created = proxy(api)
    assert api.post("/proxies/p", {}).json() == created


def test_update_with_a_bad_body_is_400_and_of_an_unknown_proxy_404(api):
    proxy(api)
    assert_error(api.post("/proxies/p", b"{"), 400, "bad request body: ...")
    assert_error(api.post("/proxies/q", {}), 404, "proxy not found")


def test_update_moves_the_listener(api, free_port):
    proxy(api)
    assert api.post("/proxies/p", {"listen": f"127.0.0.1:{free_port}"}).json()["listen"] == f"127.0.0.1:{free_port}"
    socket.create_connection(("127.0.0.1", free_port), timeout=5).close()


def test_listen_that_cannot_be_parsed_is_500_and_changes_nothing(api):
    created = proxy(api)
    assert_error(api.post("/proxies/p", {"listen": "nonsense"}), 500, "...")
    assert api.get("/proxies/p").json() == created


def test_failed_bind_of_an_update_keeps_the_new_listen_disabled(api, taken):
    proxy(api)
    assert_error(api.post("/proxies/p", {"listen": taken}), 500, f"listen tcp {taken}: bind: address already in use")
    after = api.get("/proxies/p").json()
    assert (after["listen"], after["enabled"]) == (taken, False)


# Toxics.


def test_toxic_has_defaults(api):
    proxy(api)
    assert toxic(api, type="latency") == {
        "attributes": {"latency": 0, "jitter": 0},
        "name": "latency_downstream",
        "type": "latency",
        "stream": "downstream",
        "toxicity": 1,
    }


ATTRIBUTES = {
    "latency": {"latency": 100, "jitter": 10},
    "bandwidth": {"rate": 100},
    "slow_close": {"delay": 100},
    "timeout": {"timeout": 100},
    "reset_peer": {"timeout": 100},
    "slicer": {"average_size": 10, "size_variation": 5, "delay": 100},
    "limit_data": {"bytes": 100},
    "noop": {},
}


@pytest.mark.parametrize("kind", ATTRIBUTES)
def test_every_type_is_created_shown_and_deleted(api, kind):
    proxy(api)
    created = toxic(api, name="t", type=kind, stream="upstream", toxicity=0.5, attributes=ATTRIBUTES[kind])
    assert created == {
        "attributes": ATTRIBUTES[kind],
        "name": "t",
        "type": kind,
        "stream": "upstream",
        "toxicity": 0.5,
    }
    assert api.get("/proxies/p/toxics/t").json() == created
    assert api.get("/proxies/p").json()["toxics"] == [created]
    reply = api.delete("/proxies/p/toxics/t")
    assert (reply.status, reply.body) == (204, b"")
    assert_error(api.get("/proxies/p/toxics/t"), 404, "toxic not found")
    assert_error(api.delete("/proxies/p/toxics/t"), 404, "toxic not found")


def test_toxics_are_listed_upstream_first(api):
    proxy(api)
    for stream, name in (("downstream", "a"), ("upstream", "b"), ("downstream", "c"), ("upstream", "d")):
        toxic(api, type="noop", stream=stream, name=name)
    assert [entry["name"] for entry in api.get("/proxies/p/toxics").json()] == ["b", "d", "a", "c"]


def test_stream_is_matched_without_case_and_echoed_raw(api):
    proxy(api)
    created = toxic(api, type="noop", stream="UpStream")
    assert (created["stream"], created["name"]) == ("UpStream", "noop_UpStream")


def test_toxic_values_are_not_checked_for_range(api):
    proxy(api)
    created = toxic(api, type="latency", toxicity=7, attributes={"latency": -5})
    assert (created["toxicity"], created["attributes"]) == (7, {"latency": -5, "jitter": 0})


def test_toxic_checks_come_in_order(api):
    proxy(api)
    toxic(api, type="latency", name="t")
    bad = {"name": "t", "type": "nonsense", "stream": "sideways", "attributes": {"latency": "long"}}
    assert_error(api.post("/proxies/p/toxics", b"{"), 400, "bad request body: ...")
    invalid = "stream was invalid, can be either upstream or downstream"
    assert_error(api.post("/proxies/p/toxics", bad), 400, invalid)
    bad["stream"] = "upstream"
    assert_error(api.post("/proxies/p/toxics", bad), 400, "invalid toxic type")
    bad["type"] = "latency"
    assert_error(api.post("/proxies/p/toxics", bad), 409, "toxic already exists")
    bad["name"] = "u"
    assert_error(api.post("/proxies/p/toxics", bad), 400, "bad request body: ...")
    assert_error(api.post("/proxies/q/toxics", bad), 404, "proxy not found")


@pytest.mark.parametrize("value", ["100", 1.5, True, [], {}, 2**63])
def test_attribute_of_a_wrong_type_is_400(api, value):
    proxy(api)
    reply = api.post("/proxies/p/toxics", {"type": "latency", "attributes": {"latency": value}})
    assert_error(reply, 400, "bad request body: ...")
    assert api.get("/proxies/p/toxics").json() == []


@pytest.mark.parametrize("method", ["POST", "PATCH"])
def test_toxic_update_merges_attributes_and_toxicity_only(api, method):
    proxy(api)
    toxic(api, type="latency", name="t", attributes={"latency": 100, "jitter": 10})
    reply = api.call(
        method,
        "/proxies/p/toxics/t",
        {"name": "u", "type": "noop", "stream": "upstream", "toxicity": 0.25, "attributes": {"latency": 5}},
    )
    assert reply.status == 200
    expected = {
        "attributes": {"latency": 5, "jitter": 10},
        "name": "t",
        "type": "latency",
        "stream": "downstream",
        "toxicity": 0.25,
    }
    assert reply.json() == expected
    assert api.get("/proxies/p/toxics/t").json() == expected


def test_toxic_update_of_an_unknown_toxic_is_404_and_with_a_bad_body_400(api):
    proxy(api)
    toxic(api, type="noop", name="t")
    assert_error(api.post("/proxies/p/toxics/u", {}), 404, "toxic not found")
    assert_error(api.post("/proxies/p/toxics/t", b"{"), 400, "bad request body: ...")


# Populate and reset.


def test_populate_creates_and_returns_all(api):
    wanted = [
        {"name": "a", "upstream": UPSTREAM, "listen": "127.0.0.1:0"},
        {"name": "b", "upstream": UPSTREAM, "listen": "127.0.0.1:0", "toxics": [{"type": "noop"}]},
    ]
    reply = api.post("/populate", wanted)
    assert reply.status == 201
    assert [entry["name"] for entry in reply.json()["proxies"]] == ["a", "b"]
    assert reply.json()["proxies"][1]["toxics"] == []
    assert sorted(api.get("/proxies").json()) == ["a", "b"]


def test_populate_of_nothing_is_null(api):
    reply = api.post("/populate", [])
    assert (reply.status, reply.json()) == (201, {"proxies": None})


def test_populate_checks_all_before_it_creates_any(api):
    reply = api.post("/populate", [{"name": "a", "upstream": UPSTREAM}, {"upstream": UPSTREAM}])
    assert reply.status == 400
    assert reply.headers["Content-Type"] == "application/json"
    assert reply.json() == {"error": "missing required field: name at proxy 2", "status": 400, "proxies": None}
    assert api.get("/proxies").json() == {}


def test_populate_leaves_the_same_untouched_and_replaces_others(api):
    same = proxy(api, "same")
    proxy(api, "p")
    toxic(api, type="noop")
    api.post("/proxies/same/toxics", {"type": "noop"})
    wanted = [
        {"name": "same", "upstream": UPSTREAM, "listen": same["listen"], "enabled": False},
        {"name": "p", "upstream": "127.0.0.1:10", "listen": "127.0.0.1:0"},
    ]
    kept, replaced = api.post("/populate", wanted).json()["proxies"]
    assert kept["enabled"] is True
    assert len(kept["toxics"]) == 1
    assert (replaced["upstream"], replaced["toxics"]) == ("127.0.0.1:10", [])


def test_populate_with_port_0_always_replaces(api):
    proxy(api)
    toxic(api, type="noop")
    reply = api.post("/populate", [{"name": "p", "upstream": UPSTREAM, "listen": "127.0.0.1:0"}])
    assert reply.json()["proxies"][0]["toxics"] == []


def test_populate_that_fails_midway_tells_what_was_done(api, taken):
    wanted = [
        {"name": "a", "upstream": UPSTREAM, "listen": "127.0.0.1:0"},
        {"name": "b", "upstream": UPSTREAM, "listen": taken},
        {"name": "c", "upstream": UPSTREAM, "listen": "127.0.0.1:0"},
    ]
    reply = api.post("/populate", wanted)
    assert reply.status == 500
    assert reply.headers["Content-Type"] == "application/json"
    document = reply.json()
    assert document["error"] == f"listen tcp {taken}: bind: address already in use"
    assert [entry["name"] for entry in document["proxies"]] == ["a"]
    assert "c" not in api.get("/proxies").json()


def test_reset_enables_all_and_removes_all_toxics(api):
    proxy(api)
    proxy(api, "q", enabled=False)
    toxic(api, type="noop")
    reply = api.post("/reset")
    assert (reply.status, reply.body) == (204, b"")
    for shown in api.get("/proxies").json().values():
        assert (shown["enabled"], shown["toxics"]) == (True, [])


def test_reset_stops_at_a_failed_bind(api, taken):
    proxy(api, enabled=False, listen=taken)
    assert_error(api.post("/reset"), 500, f"listen tcp {taken}: bind: address already in use")


# Wire.


def test_connections_are_kept_alive(api):
    connection = http.client.HTTPConnection(*api.address, timeout=5)
    try:
        for _ in range(3):
            connection.request("GET", "/version")
            with connection.getresponse() as reply:
                assert json.loads(reply.read())["version"]
                assert reply.status == 200
    finally:
        connection.close()


def connect(created):
    host, port = created["listen"].rsplit(":", 1)
    return socket.create_connection((host, int(port)), timeout=5)


def test_disabled_proxy_refuses_and_ends_what_is_open(api, echo):
    created = proxy(api, upstream=echo.address)
    with connect(created) as client:
        client.sendall(b"x")
        assert client.recv(1) == b"x"
        api.post("/proxies/p", {"enabled": False})
        assert client.recv(1) == b""
    with pytest.raises(ConnectionRefusedError):
        connect(created)
    api.post("/proxies/p", {"enabled": True})
    with connect(created) as client:
        client.sendall(b"y")
        assert client.recv(1) == b"y"


def test_changed_upstream_drops_connections_and_serves_new_ones(api, echo, serve):
    other = serve(lambda connection: connection.sendall(b"other"))
    created = proxy(api, upstream=echo.address)
    with connect(created) as client:
        client.sendall(b"x")
        assert client.recv(1) == b"x"
        api.post("/proxies/p", {"upstream": other.address})
        assert client.recv(1) == b""
    with connect(created) as client:
        assert client.recv(5) == b"other"


def test_dead_upstream_accepts_then_closes(api, free_port):
    with connect(proxy(api, upstream=f"127.0.0.1:{free_port}")) as client:
        assert client.recv(1) == b""


def test_latency_acts_on_live_connections(api, echo):
    with connect(proxy(api, upstream=echo.address)) as client:
        client.sendall(b"x")
        assert client.recv(1) == b"x"
        toxic(api, type="latency", name="t", attributes={"latency": 200})
        began = time.monotonic()
        client.sendall(b"x")
        assert client.recv(1) == b"x"
        assert time.monotonic() - began >= 0.199
