"""Whatever a client sends to the control port, it answers, in the documented form, and stays alive."""

from __future__ import annotations

import json
from urllib.parse import quote

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pytest_enterprise.proxy.toxics import KINDS

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
attributes = st.dictionaries(
    st.sampled_from(["latency", "jitter", "rate", "bytes", "timeout", "x"]), values, max_size=3
)
documents = st.fixed_dictionaries(
    {},
    optional={
        "name": st.sampled_from(["p", "q", "a b"]) | values,
        "upstream": st.just("127.0.0.1:9") | values,
        "listen": st.just("127.0.0.1:0") | values,
        # Enabled proxies would bind whatever address the fuzzer thinks of.
        "enabled": st.just(False),
        "type": st.sampled_from(sorted(KINDS)) | values,
        "stream": st.sampled_from(["upstream", "downstream", "UPSTREAM"]) | values,
        "toxicity": st.floats(0, 1) | values,
        "attributes": attributes | values,
        "toxics": st.lists(values, max_size=2) | values,
        "routes": values,
        "how": st.sampled_from(["fin", "reset"]) | values,
    },
)
bodies = (documents | st.lists(documents, max_size=3) | values).map(
    lambda value: json.dumps(value).encode()
) | st.binary(max_size=40)
names = st.sampled_from(["p", "q", "a b"]) | st.text(st.characters(codec="utf-8"), min_size=1, max_size=5)
paths = st.one_of(
    st.sampled_from(["/proxies", "/version", "/enterprise/counters", "/enterprise/proxies"]),
    names.map(lambda name: f"/proxies/{quote(name, safe='')}/toxics"),
    names.map(lambda name: f"/proxies/{quote(name, safe='')}/toxics/latency_downstream"),
    names.map(lambda name: f"/enterprise/proxies/{quote(name, safe='')}/close"),
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], database=None)
@given(method=st.sampled_from(["GET", "POST", "PATCH", "DELETE", "PUT"]), path=paths, body=bodies)
def test_every_request_is_answered_in_form(control, method, path, body):
    try:
        may_enable = b"name" in body and json.loads(body).get("enabled") is not False
    except (ValueError, AttributeError):
        may_enable = False
    if may_enable and path in ("/proxies", "/enterprise/proxies"):
        return
    reply = control.call(method, path, body)
    assert reply.status in (200, 201, 204, 400, 404, 405, 409), (reply.status, reply.body)
    if reply.status in (400, 409):
        assert reply.json()["status"] == reply.status
        assert reply.json()["error"]
    elif reply.status in (200, 201):
        reply.json()
