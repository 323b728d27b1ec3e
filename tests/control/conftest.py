"""A small stack that is held: one web server behind a link from load."""

import json
import urllib.error
import urllib.request

import pytest

from pytest_enterprise import Link, Service, Stack
from pytest_enterprise.control.server import ControlServer
from pytest_enterprise.live import LiveStack

FILES = ("{python}", "-m", "http.server", "{port}", "--bind", "{bind}")


@pytest.fixture(scope="module")
def held(new_run):
    """The live stack, its control server and a function that asks it."""
    spec = Stack([Service(name="files", command=FILES, replicas=2)], [Link("load", "files")])
    with LiveStack(new_run(runtime="process"), spec) as live:
        server = ControlServer(live)
        server.listen()

        def ask(method, path, document=None, **headers):
            body = document if isinstance(document, bytes | None) else json.dumps(document).encode()
            if body is not None:
                headers.setdefault("Content-Type", "application/json")
            request = urllib.request.Request(server.url + path, body, headers, method=method)
            try:
                with urllib.request.urlopen(request, timeout=20) as answer:
                    return answer.status, json.load(answer)
            except urllib.error.HTTPError as error:
                with error:
                    return error.code, json.load(error)

        yield live, server, ask
        server.close()


@pytest.fixture
def ask(held):
    return held[2]


@pytest.fixture
def live(held):
    return held[0]
