"""A stack of small real servers that faults are tried on, and questions to it."""

import time
import urllib.request

import pytest

from pytest_enterprise import Etcd, Link, Postgres, Service, Stack
from pytest_enterprise.faults.session import Faults
from pytest_enterprise.live import LiveStack

FILES = (
    "{python}",
    "-m",
    "http.server",
    "{port}",
    "--bind",
    "{bind}",
    "--directory",
    "{data}",
    "--protocol",
    "HTTP/1.1",
)


@pytest.fixture(scope="session")
def live(new_run):
    """Two file servers, three members of a registry and a database; engines start when they are asked for."""
    zones = {"zone": ("a", "b")}
    spec = Stack(
        [
            Service(name="files", command=FILES, replicas=2, labels=zones),
            Etcd(name="etcd", replicas=3),
            Postgres(name="postgres"),
        ],
        [Link("load", "files"), Link("etcd", "etcd"), Link("load", "etcd"), Link("load", "postgres")],
    )
    live = LiveStack(new_run(runtime="process", seed=7), spec)
    try:
        live.ensure("files", "etcd")
        (live.running.site("files-1").data / "big").write_bytes(bytes(200_000))
        yield live
    finally:
        live.close()


@pytest.fixture
def faults(live):
    faults = Faults(live, "test")
    yield faults
    faults.close()


@pytest.fixture
def get(live):
    """Seconds that a request to an instance takes."""

    def get(instance="files-1", path="/", timeout=5.0):
        began = time.monotonic()
        with urllib.request.urlopen(f"http://{live.address(instance)}{path}", timeout=timeout) as answer:
            answer.read()
        return time.monotonic() - began

    return get
