"""What only the machine of a run can tell is put into its directory when it ends."""

import hashlib
import sys
from pathlib import Path

import pytest

from pytest_enterprise.errors import EnterpriseError
from pytest_enterprise.evidence import capture
from pytest_enterprise.runtimes import docker_socket

EVENT = {"kind": "engine.starting", "engine": "e", "kind_of_engine": "envoy"}


@pytest.fixture
def daemon(monkeypatch):
    """A Docker daemon that holds one image."""

    def request(method, path, **_):
        if path == "/images/envoy:1/json":
            return {"Id": "sha256:" + "cd" * 32}
        raise EnterpriseError("no such image")

    monkeypatch.setattr(docker_socket, "request", request)


def engine(**fields):
    [found] = capture.engines([{**EVENT, **fields}, {"kind": "engine.ready", "engine": "e", "version": "1.40"}])
    assert set(found) == set(capture.OF_ENGINE)
    return found


def test_a_process_is_told_by_the_digest_of_its_program():
    found = engine(runtime="process", command=f"'{sys.executable}' -c 'print(1)'")
    assert (found["program"], found["version"]) == (sys.executable, "1.40")
    assert found["sha256"] == hashlib.sha256(Path(sys.executable).read_bytes()).hexdigest()
    assert found["image"] is None


def test_a_program_that_is_gone_has_no_digest():
    assert engine(runtime="process", command="/no/such/program --x")["sha256"] is None
    assert engine(runtime="process", command="'never closed")["program"] == ""


@pytest.mark.parametrize(("image", "digest"), [("envoy:1", "sha256:" + "cd" * 32), ("envoy:2", None)])
def test_a_container_is_told_by_the_digest_of_its_image(daemon, image, digest):
    found = engine(runtime="container", command=["docker", "run", image], image=image)
    assert (found["image"], found["image_digest"]) == (image, digest)
    assert (found["program"], found["sha256"]) == ("", None)
