from __future__ import annotations

import asyncio
import json
import re
import shutil
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from pytest_enterprise.errors import LoadFailed, MachineCannot
from pytest_enterprise.load.generator import Load
from pytest_enterprise.run import Run
from pytest_enterprise.settings import Settings


class Server:
    """A tiny HTTP server in a thread of its own, with modes fast, 500, hang, close, bye and tasks.

    It counts requests, notes how long each took it, and can stall for a while. "close" hangs up in place of an answer,
    "bye" after each.
    """

    def __init__(
        self,
        mode: str = "fast",
        serve: Callable[..., Awaitable[None]] | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """``serve``, given reader, writer and server, speaks another protocol than HTTP."""
        self.mode = mode
        self._speak = serve
        self.counts: Counter[str] = Counter()
        self.tasks: dict[str, dict[str, object]] = {}
        self.connections: set[asyncio.StreamWriter] = set()
        self.seconds: list[float] = []
        self._well = 0.0
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._server = self._call(asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=tls))
        self.address = f"127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        self.url = f"http{'s' if tls else ''}://{self.address}"

    def _call(self, work):
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    @property
    def total(self) -> int:
        return self.counts.total()

    def stall(self, seconds: float) -> None:
        """Answer nothing for that long."""
        self._well = time.monotonic() + seconds

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections.add(writer)
        try:
            if self._speak:
                return await self._speak(reader, writer, self)
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                method, path, _ = head.decode().split(" ", 2)
                length = re.search(rb"(?i)content-length: *(\d+)", head)
                body = await reader.readexactly(int(length.group(1))) if length else b""
                began = time.monotonic()
                self.counts[f"{method} {path}"] += 1
                if self.mode == "close":
                    break
                if self.mode == "hang":
                    await asyncio.sleep(60)
                while (left := self._well - time.monotonic()) > 0:
                    await asyncio.sleep(left)
                status, answer = self._answer(method, path, head, body)
                writer.write(f"HTTP/1.1 {status} X\r\nContent-Length: {len(answer)}\r\n\r\n".encode() + answer)
                await writer.drain()
                self.seconds.append(time.monotonic() - began)
                if self.mode == "bye":
                    break
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            self.connections.discard(writer)
            writer.close()
        return None

    def _answer(self, method: str, path: str, head: bytes, body: bytes) -> tuple[int, bytes]:
        if self.mode == "500":
            return 500, b"broken"
        if self.mode in ("fast", "bye"):
            return 200, b"hello"
        return self.task(method, path, head, json.loads(body) if body else None)

    def task(self, method: str, path: str, head: bytes, body: dict | None) -> tuple[int, bytes]:
        return 200, b"{}"

    def close(self) -> None:
        async def end() -> None:
            self._server.close()
            for writer in list(self.connections):
                writer.close()
            others = asyncio.all_tasks() - {asyncio.current_task()}
            for task in others:
                task.cancel()
            await asyncio.gather(*others, return_exceptions=True)

        self._call(end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()


@pytest.fixture
def serve() -> Iterator[Callable[..., Server]]:
    servers = []

    def make(
        mode: str = "fast",
        speak: Callable[..., Awaitable[None]] | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> Server:
        servers.append(Server(mode, speak, tls))
        return servers[-1]

    yield make
    for server in servers:
        server.close()


@pytest.fixture
def serve_app() -> Iterator[Callable[..., str]]:
    """Serves ASGI applications on 127.0.0.1, each in a thread of its own; gives ``host:port``."""
    import uvicorn

    served = []

    def serve(app, **settings) -> str:
        listening = socket.create_server(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(app, log_level="critical", ws="wsproto", lifespan="off", **settings))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        served.append((server, thread, listening))
        return f"127.0.0.1:{listening.getsockname()[1]}"

    yield serve
    for server, thread, listening in served:
        server.should_exit = server.force_exit = True
        thread.join(10)
        listening.close()


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    run = Run(Settings(reports=str(tmp_path / "reports"), seed=7))
    yield run
    run.events.close()
    run.ports.release()


@pytest.fixture
def load(run: Run) -> Iterator[Load]:
    load = Load(run, "tests/load::test")
    yield load
    try:
        load.close()
    except LoadFailed:
        pass


@pytest.fixture
def locustfile(tmp_path: Path) -> Callable[..., Path]:
    def write(text: str = "", name: str = "users.py", **values: object) -> Path:
        path = tmp_path / name
        path.write_text(text or SIMPLE.format(**{"rate": 20, **values}))
        return path

    return write


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for 127.0.0.1 that signed itself, with its key in the same file."""
    folder = tmp_path_factory.mktemp("certificate")
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=test"
    subprocess.run(
        (*command.split(), "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", folder / "key", "-out", folder / "pem"),
        check=True,
        capture_output=True,
    )
    both = folder / "both.pem"
    both.write_bytes((folder / "pem").read_bytes() + (folder / "key").read_bytes())
    return both


@pytest.fixture
def tls(certificate: Path) -> ssl.SSLContext:
    """A server's context with that certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


SIMPLE = """
from locust import task
from pytest_enterprise.load.users import EnterpriseUser

class Visitor(EnterpriseUser):
    rate = {rate}

    @task
    def visit(self):
        self.client.get("/", name="/")
"""


class Redis:
    """A server of its own, without persistence, that asks for a password."""

    def __init__(self, program, folder, port):
        self.host = f"redis://:p%40ss@127.0.0.1:{port}/3"
        self._port = port
        self._program = (program, "--bind", "127.0.0.1", "--port", str(port), "--requirepass", "p@ss")
        self._folder = folder
        self.start()

    def start(self):
        self._asked = 0
        options = ("--save", "", "--appendonly", "no", "--dir", str(self._folder))
        self.process = subprocess.Popen((*self._program, *options), stdout=subprocess.DEVNULL)
        end = time.monotonic() + 10
        while True:
            try:
                answer = self.ask("PING")
                break
            except OSError:
                assert time.monotonic() < end, "Redis did not start"
                time.sleep(0.02)
        assert answer == b"+PONG"

    def ask(self, command):
        """The first line of the reply to an inline command."""
        with socket.create_connection(("127.0.0.1", self._port), 5) as connection:
            self._asked += 1
            connection.sendall(f"AUTH p@ss\r\nSELECT 3\r\n{command}\r\n".encode())
            lines = connection.makefile("rb")
            return [lines.readline().strip() for _ in range(3)][2]

    def connections(self):
        """How many it has accepted besides those of this class."""
        with socket.create_connection(("127.0.0.1", self._port), 5) as connection:
            connection.sendall(b"AUTH p@ss\r\nINFO stats\r\n")
            lines = connection.makefile("rb")
            told = next(line for line in lines if line.startswith(b"total_connections_received:"))
        self._asked += 1
        return int(told.partition(b":")[2]) - self._asked

    def stop(self):
        self.process.kill()
        self.process.wait()


@pytest.fixture
def redis(tmp_path, run):
    """Debian's redis-tools hold the server too, under the name of its checker: it goes by the name it is called by."""
    program = shutil.which("redis-server")
    if program is None and (checker := shutil.which("redis-check-rdb")):
        program = str(tmp_path / "redis-server")
        (tmp_path / "redis-server").symlink_to(checker)
    if program is None:
        raise MachineCannot("redis-server is not on this machine. Try: apt-get install redis-tools")
    server = Redis(program, tmp_path, run.ports.take())
    yield server
    server.stop()


class GrpcServer:
    """A process of its own; see ``grpc_server.py``."""

    def __init__(self, port, folder):
        self.host = f"grpc://127.0.0.1:{port}"
        self._port = port
        self._log = folder / "server.log"
        self.start()

    def start(self):
        command = (sys.executable, "-u", str(Path(__file__).with_name("grpc_server.py")), str(self._port))
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)
        assert self.process.stdout.readline() == "ready\n"

    def stop(self):
        """At once, in the middle of whatever it does; what it was told."""
        self.process.kill()
        told = self.process.stdout.read().splitlines()
        self.process.stdout.close()
        self.process.wait()
        return told


@pytest.fixture
def grpc_server(run, tmp_path):
    server = GrpcServer(run.ports.take(), tmp_path)
    yield server
    if server.process.poll() is None:
        server.stop()
