"""The interface is as its own description says, whatever is sent to it."""

from __future__ import annotations

import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.generation import GenerationMode

LISTEN = "127.0.0.1:0"


def test_the_description_is_kept_whatever_is_sent(control):
    """Requests that fit it are taken or refused with a reason; others are refused, and nothing ever crashes."""
    schema = schemathesis.openapi.from_url(f"{control.url}/enterprise/openapi.json")
    control.create("127.0.0.1:9", name="known")
    seen = set()

    for result in schema.get_all_operations():
        operation = result.ok()
        strategy = operation.as_strategy(generation_mode=GenerationMode.POSITIVE) | operation.as_strategy(
            generation_mode=GenerationMode.NEGATIVE
        )
        _fuzz(control, operation, strategy, seen)
    assert {"200", "201", "400", "404"} <= {str(status) for status in seen}
    assert control.get("/version").status == 200


def _fuzz(control, operation, strategy, seen):
    from hypothesis import given

    @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    @given(case=strategy)
    def one(case):
        if isinstance(case.body, dict):
            # A fuzzer must not choose what this machine listens on.
            if isinstance(case.body.get("listen"), str):
                case.body["listen"] = LISTEN
            if operation.path.endswith("/proxies") and case.body.get("enabled") is not False:
                case.body["enabled"] = False
        if case.path_parameters and len(seen) % 2:
            case.path_parameters["name"] = "known"
        reply = case.call(timeout=10)
        seen.add(reply.status_code)
        assert reply.status_code in (200, 201, 400, 404, 405, 409, 413, 500), (reply.status_code, reply.text)
        if reply.status_code >= 400 and reply.status_code not in (404, 405):
            assert reply.json()["status"] == reply.status_code
            assert reply.json()["error"]
        if reply.status_code == 500:
            assert "listen tcp" in reply.json()["error"] or "bind" in reply.json()["error"]

    one()
