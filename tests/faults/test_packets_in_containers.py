"""Packets of one container of several, and of one that is down."""

import os
import time
import urllib.request

import pytest

from pytest_enterprise import Service, Stack, __version__
from pytest_enterprise.engines import packets
from pytest_enterprise.errors import FaultFailed
from pytest_enterprise.faults.session import Faults
from pytest_enterprise.live import LiveStack
from pytest_enterprise.runtimes import container

IMAGE = f"{container.PREFIX}/python:{__version__}"


@pytest.fixture(scope="module")
def live(new_run):
    reason = packets.why_not()
    if not container.docker_answers():
        reason = "no Docker daemon answers"
    elif not container.image_available(IMAGE):
        reason = f"{IMAGE} is not built: pytest-enterprise images"
    if reason:
        pytest.fail(reason) if os.environ.get("CI") and os.geteuid() == 0 else pytest.skip(reason)
    command = ("python3", "-m", "http.server", "{port}", "--bind", "{bind}")
    spec = Stack([Service(name="files", image=IMAGE, command=command, replicas=2, packets=True)])
    with LiveStack(new_run(runtime="container", seed=5), spec) as live:
        yield live


@pytest.fixture
def faults(live):
    faults = Faults(live, "test")
    yield faults
    faults.close()


@pytest.fixture
def took(live):
    """Seconds that a request to an instance takes."""

    def took(instance="files-1"):
        began = time.monotonic()
        with urllib.request.urlopen(live.url(instance, "/"), timeout=60) as answer:
            assert b"Directory listing" in answer.read()
        return time.monotonic() - began

    return took


def test_packets_are_late_for_one_container(faults, took):
    assert min(took() for _ in range(5)) < 0.2
    with faults.packets("files-1", delay=0.2):
        assert took() >= 0.2
        assert min(took("files-2") for _ in range(5)) < 0.2
    assert min(took() for _ in range(5)) < 0.2


def test_a_container_that_is_down_has_no_network(faults):
    with faults.kill("files-2"), pytest.raises(FaultFailed, match="files-2 is not running"):
        faults.packets("files-2", loss=0.1).begin()
