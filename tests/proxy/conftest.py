"""A fault proxy, an echo server and small clients, for the tests of the proxy."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple
from urllib.parse import quote

import pytest

TIMEOUT = 10.0


class Reply(NamedTuple):
    status: int
    headers: Any
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


class Control:
    """A client of the control port that shows answers as they came."""

    def __init__(self, url: str) -> None:
        self.url = url

    @property
    def address(self) -> tuple[str, int]:
        host, port = self.url.removeprefix("http://").rsplit(":", 1)
        return host, int(port)

    def call(self, method: str, path: str, body: Any = None, *, headers: dict[str, str] | None = None) -> Reply:
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, headers or {}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT) as reply:
                return Reply(reply.status, reply.headers, reply.read())
        except urllib.error.HTTPError as error:
            with error:
                return Reply(error.code, error.headers, error.read())

    def get(self, path: str) -> Reply:
        return self.call("GET", path)

    def post(self, path: str, body: Any = None) -> Reply:
        return self.call("POST", path, body)

    def delete(self, path: str) -> Reply:
        return self.call("DELETE", path)

    def clear(self) -> None:
        for name in self.get("/proxies").json():
            self.delete(f"/proxies/{quote(name, safe='')}")

    def create(self, upstream: str, *, name: str = "link", **fields: Any) -> tuple[str, int]:
        """A proxy to ``upstream``; returns where it listens."""
        reply = self.post("/proxies", {"name": name, "upstream": upstream, "listen": "127.0.0.1:0", **fields})
        assert reply.status == 201, reply.body
        return split(reply.json()["listen"])

    def toxic(self, kind: str, *, stream: str = "downstream", toxicity: float = 1, name: str = "t", **attributes: Any):
        reply = self.post(
            "/proxies/link/toxics",
            {"name": name, "type": kind, "stream": stream, "toxicity": toxicity, "attributes": attributes},
        )
        assert reply.status == 200, reply.body
        return reply.json()

    def remove(self, name: str = "t") -> None:
        assert self.delete(f"/proxies/link/toxics/{name}").status == 204

    def counters(self, name: str = "link") -> Any:
        return self.get("/enterprise/counters").json()[name]


def split(address: str) -> tuple[str, int]:
    host, port = address.rsplit(":", 1)
    return host.strip("[]"), int(port)


def wait_until(condition: Callable[[], Any], seconds: float = TIMEOUT) -> Any:
    """The first true value of ``condition``; fails after ``seconds``."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < end, "it did not become true"
        time.sleep(0.005)


class Wire:
    """A TCP client with a time limit on everything."""

    def __init__(self, address: tuple[str, int]) -> None:
        self.socket = socket.create_connection(address, timeout=TIMEOUT)

    def __enter__(self) -> Wire:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def read(self, size: int) -> bytes:
        """Exactly ``size`` bytes, fewer only when the stream ended before."""
        found = b""
        while len(found) < size and (data := self.socket.recv(size - len(found))):
            found += data
        return found

    def read_all(self) -> bytes:
        found = b""
        while data := self.socket.recv(65536):
            found += data
        return found

    def echo(self, data: bytes = b"ping") -> float:
        """Send, read the same back, and return the seconds it took."""
        began = time.monotonic()
        self.send(data)
        assert self.read(len(data)) == data
        return time.monotonic() - began

    def silent(self, seconds: float = 0.15) -> bool:
        """Whether neither data nor an end arrive for a while."""
        self.socket.settimeout(seconds)
        try:
            self.socket.recv(1)
        except TimeoutError:
            return True
        finally:
            self.socket.settimeout(TIMEOUT)
        return False


class Server:
    """A TCP server whose connections each run ``talk`` in a thread."""

    def __init__(self, talk: Callable[[socket.socket], None]) -> None:
        self._talk = talk
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self._threads: list[threading.Thread] = []
        self.connections: list[socket.socket] = []
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self._acceptor = threading.Thread(target=self._accept)
        self._acceptor.start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            connection.settimeout(TIMEOUT)
            self.connections.append(connection)
            thread = threading.Thread(target=self._run, args=(connection,))
            self._threads.append(thread)
            thread.start()

    def _run(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection:
            self._talk(connection)

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._acceptor.join(TIMEOUT)
        for connection in self.connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()
        for thread in self._threads:
            thread.join(TIMEOUT)


def _echo(connection: socket.socket) -> None:
    while data := connection.recv(65536):
        connection.sendall(data)


@pytest.fixture
def serve() -> Iterator[Callable[[Callable[[socket.socket], None]], Server]]:
    """Starts servers that end with the test."""
    with contextlib.ExitStack() as servers:

        def start(talk: Callable[[socket.socket], None]) -> Server:
            server = Server(talk)
            servers.callback(server.close)
            return server

        yield start


@pytest.fixture
def echo(serve: Any) -> Server:
    return serve(_echo)


class Program:
    """The proxy as a process of its own."""

    def __init__(self, *arguments: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "pytest_enterprise.proxy", "-host", "127.0.0.1", "-port", "0", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.line = self.process.stdout.readline()
        if not self.line:
            error = self.process.stderr.read()
            self.stop()
            raise RuntimeError(error)
        self.ready = json.loads(self.line)
        self.control = Control(f"http://{self.ready['listening']}")

    def stop(self) -> str:
        """End it and return what it wrote to standard error."""
        self.process.terminate()
        try:
            _, errors = self.process.communicate(timeout=TIMEOUT)
        except subprocess.TimeoutExpired:
            self.process.kill()
            _, errors = self.process.communicate()
            raise
        return errors


@pytest.fixture
def program() -> Iterator[Callable[..., Program]]:
    """Starts proxies with options of their own."""
    with contextlib.ExitStack() as programs:

        def start(*arguments: str) -> Program:
            started = Program(*arguments)
            programs.callback(started.stop)
            return started

        yield start


@pytest.fixture(scope="session")
def _shared() -> Iterator[Program]:
    shared = Program("-seed", "7", "-proxy-metrics")
    yield shared
    assert shared.stop() == ""


@pytest.fixture
def control(_shared: Program) -> Iterator[Control]:
    """The control port of a proxy without links."""
    yield _shared.control
    _shared.control.clear()


@pytest.fixture
def api(request: pytest.FixtureRequest) -> Iterator[Control]:
    """The server under conformance test: the one at TOXIPROXY_URL, else ours."""
    url = os.environ.get("TOXIPROXY_URL")
    control = Control(url.rstrip("/")) if url else request.getfixturevalue("control")
    control.clear()
    yield control
    control.clear()


@pytest.fixture
def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def wire() -> Iterator[Callable[[tuple[str, int]], Wire]]:
    """Opens connections that end with the test."""
    with contextlib.ExitStack() as wires:
        yield lambda address: wires.enter_context(Wire(address))


@pytest.fixture
def eventually() -> Callable[..., Any]:
    return wait_until


@pytest.fixture
def control_at() -> Callable[[str], Control]:
    """A client of the control port at a URL."""
    return Control
