from __future__ import annotations

import time

import pytest

from pytest_enterprise import events
from pytest_enterprise.errors import LoadFailed


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
    assert finished["requests"] == len(records)
    assert finished["failures"] == 0
