"""The Docker API over its socket, against a small server that plays the daemon."""

from __future__ import annotations

import http.server
import json
import socketserver
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pytest_enterprise.runtimes import docker_socket


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path == "/_ping":
            self.answer(200, b"OK", "text/plain")
        elif self.path.startswith("/images/here/json"):
            self.answer(200, b"{}")
        elif self.path.startswith("/slow"):
            time.sleep(0.5)
        else:
            self.answer(404, json.dumps({"message": f"no such thing: {self.path}"}).encode())

    def answer(self, status: int, body: bytes, kind: str = "application/json") -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def address_string(self) -> str:
        return "socket"

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def daemon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    path = tmp_path / "docker.sock"
    with socketserver.ThreadingUnixStreamServer(str(path), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        monkeypatch.setenv("DOCKER_HOST", f"unix://{path}")
        yield f"unix://{path}"
        server.shutdown()
        thread.join()


def test_answers(daemon: str) -> None:
    """A daemon answers, holds the image it holds, and says what it does not know."""
    assert docker_socket.answers()
    assert docker_socket.has_image("here")
    assert not docker_socket.has_image("elsewhere")
    with pytest.raises(docker_socket.DaemonRefused, match=r"GET /x: no such thing: /x\?all=1&filters=%7B") as caught:
        docker_socket.request("GET", "/x", all=1, filters={"label": ["a"]})
    assert caught.value.status == 404


def test_silence(daemon: str) -> None:
    """A daemon that does not answer in time counts as none."""
    with pytest.raises(docker_socket.DaemonSilent, match=r"no Docker daemon answers at unix:.*timed out"):
        docker_socket.request("GET", "/slow", timeout=0.1)


def test_tcp_on_loopback() -> None:
    """A daemon behind a loopback port is one of this machine's."""
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        assert docker_socket.request("GET", "/_ping", where=f"tcp://127.0.0.1:{server.server_address[1]}") == "OK"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("where", "local"),
    [
        ("unix:///var/run/docker.sock", True),
        ("tcp://127.0.0.1:2375", True),
        ("tcp://localhost:2375", True),
        ("tcp://[::1]:2375", True),
        ("tcp://192.0.2.7:2375", False),
        ("tcp://build.example:2375", False),
        ("ssh://build.example", False),
    ],
)
def test_local(where: str, local: bool) -> None:
    """Only a daemon that shares this machine's files and loopback can be used."""
    assert docker_socket.is_local(where) is local


def test_address(tmp_path: Path) -> None:
    """DOCKER_HOST comes first, then the current context, then the usual socket."""
    folder = {"DOCKER_CONFIG": str(tmp_path)}
    assert docker_socket.address(folder) == docker_socket.DEFAULT
    (tmp_path / "config.json").write_text('{"currentContext": "mine"}')
    assert docker_socket.address(folder) == docker_socket.DEFAULT
    import hashlib

    meta = tmp_path / "contexts" / "meta" / hashlib.sha256(b"mine").hexdigest()
    meta.mkdir(parents=True)
    (meta / "meta.json").write_text('{"Endpoints": {"docker": {"Host": "unix:///home/me/docker.sock"}}}')
    assert docker_socket.address(folder) == "unix:///home/me/docker.sock"
    assert docker_socket.address({**folder, "DOCKER_CONTEXT": "other"}) == docker_socket.DEFAULT
    assert docker_socket.address({**folder, "DOCKER_HOST": "unix:///x"}) == "unix:///x"


def test_unknown_scheme() -> None:
    """An address of another kind is refused with the kinds that are possible."""
    with pytest.raises(docker_socket.DaemonSilent, match=r"ssh://me@there: only a daemon on this machine"):
        docker_socket.request("GET", "/_ping", where="ssh://me@there")
