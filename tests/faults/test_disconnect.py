"""Servers that are off their network, as processes and as containers, and are back afterwards."""

import os
import time
import urllib.request

import pytest

from pytest_enterprise import Etcd, Link, Service, Stack, events
from pytest_enterprise.errors import ActedOnNothing, ConfigurationError
from pytest_enterprise.faults.session import Faults
from pytest_enterprise.live import LiveStack
from pytest_enterprise.runtimes import docker_socket


def test_a_process_is_silent_on_all_its_links(faults, get, live):
    get("etcd-2", "/health")
    with faults.disconnect("etcd-2") as off, pytest.raises(TimeoutError):
        get("etcd-2", "/health", timeout=0.5)
    get("etcd-2", "/health")
    [ended] = [e for e in events.read(live.run.directory) if e["kind"] == "fault.ended" and e["fault"] == off.id]
    assert ended["evidence"]["dropped_bytes"] > 0


def test_a_process_that_nobody_talks_to_is_told(faults):
    with pytest.raises(ActedOnNothing), faults.disconnect("files-2"):
        pass


def test_a_process_without_links_cannot_be_silent(new_run):
    spec = Stack([Service(name="alone", command=("{python}", "-m", "http.server", "{port}", "--bind", "{bind}"))])
    with LiveStack(new_run(runtime="process"), spec) as live:
        faults = Faults(live, "test")
        with pytest.raises(ConfigurationError, match="alone has no link that could be silent; declare its links"):
            faults.disconnect("alone").begin()
        assert not faults.active


def test_a_container_loses_its_network_and_gets_it_back_at_the_same_address(new_run):
    """Links or not: the way past every proxy is gone too, from this machine and among containers."""
    if not docker_socket.answers():
        pytest.fail("no Docker daemon answers") if os.environ.get("CI") else pytest.skip("no Docker daemon answers")
    spec = Stack([Etcd(name="etcd", replicas=3)], [Link("etcd", "etcd")])
    with LiveStack(new_run(runtime="container"), spec) as live:
        live.ensure("etcd")
        faults = Faults(live, "test")
        url = live.url("etcd-2")

        def health(timeout=2.0):
            urllib.request.urlopen(f"{url}/health", timeout=timeout).close()

        health()
        with faults.disconnect("etcd-2") as off, pytest.raises(OSError, match=r"refused|reset|timed out|closed"):
            health()
        ends = time.monotonic() + 10
        while True:
            try:
                health()
                break
            except OSError:
                assert time.monotonic() < ends
                time.sleep(0.05)
        [ended] = [e for e in events.read(live.run.directory) if e["kind"] == "fault.ended" and e["fault"] == off.id]
        assert ended["evidence"]["containers_off_their_network"] == 1
        faults.close()
