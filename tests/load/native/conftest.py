"""A little server for the native engine: its answers are what their paths ask for, over plain TCP or TLS."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator

import pytest


class Server:
    """Answers ``/status/N``, ``/json``, ``/slow/SECONDS``, ``/never``, ``/close``, ``/slow-close/SECONDS``,
    ``/hang-up``, ``/reset``,
    ``/garbage``, ``/chunked``, ``/until-close``, ``/early`` (100 Continue first), ``/big/BYTES`` and ``/echo``.
    """

    def __init__(self, context: ssl.SSLContext | None = None, port: int = 0) -> None:
        self.counts: Counter[str] = Counter()
        self.seen: list[tuple[float, str, dict[str, str], bytes]] = []
        self.connections = 0
        self.now = self.peak = 0
        """Connections that are open, and how many were at most. One that this side closes counts as closed before."""
        self._counting = threading.Lock()
        self.stalled = threading.Event()
        self.stalled.set()
        """Cleared: nothing is answered until it is set again."""
        self._ended = threading.Event()
        self._context = context
        self._open: set[socket.socket] = set()
        self._listener = socket.create_server(("127.0.0.1", port), backlog=1024)
        self.port = self._listener.getsockname()[1]
        self.url = f"http{'s' if context else ''}://127.0.0.1:{self.port}"
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            with self._counting:
                self.now += 1
                self.peak = max(self.peak, self.now)
            self._open.add(connection)
            thread = threading.Thread(target=self._serve, args=(connection,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        try:
            if self._context:
                plain, connection = connection, self._context.wrap_socket(connection, server_side=True)
                self._open.discard(plain)
                self._open.add(connection)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            stream = connection.makefile("rb")
            while self._answer(connection, stream):
                pass
        except (OSError, ValueError):
            pass
        finally:
            with self._counting:
                self.now -= 1
            connection.close()

    def _answer(self, connection, stream) -> bool:
        first = stream.readline()
        if not first:
            return False
        headers = {}
        while (line := stream.readline()) not in (b"\r\n", b""):
            name, _, value = line.decode().partition(":")
            headers[name.lower()] = value.strip()
        body = stream.read(int(headers.get("content-length", 0)))
        method, path, _ = first.decode().split(" ")
        with self._counting:
            self.counts[f"{method} {path}"] += 1
        self.seen.append((time.monotonic(), f"{method} {path}", headers, body))
        self.stalled.wait(30)
        what, _, value = path[1:].partition("/")

        def send(content: bytes = b"hello", status: str = "200", *extra: str) -> None:
            lines = (f"HTTP/1.1 {status} X", f"Content-Length: {len(content)}", *extra, "", "")
            sent = b"" if method == "HEAD" else content
            connection.sendall("\r\n".join(lines).encode() + sent)

        match what:
            case "status":
                send(b"" if value == "204" else b"told", value)
            case "json":
                send(b'{"status": "done", "steps": [{"output": 21}]}')
            case "slow":
                time.sleep(float(value))
                send()
            case "never":
                self._ended.wait(30)
            case "close":
                send(b"hello", "200", "Connection: close")
                return False
            case "hang-up":
                return False
            case "reset":
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                return False
            case "garbage":
                connection.sendall(b"SSH-2.0-OpenSSH_9.2\r\n\r\n")
            case "chunked":
                connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n")
                time.sleep(0.01)
                connection.sendall(b"2\r\nlo\r\n0\r\n\r\n")
            case "until-close":
                connection.sendall(b"HTTP/1.1 200 OK\r\n\r\nhello")
                return False
            case "slow-close":
                time.sleep(float(value))
                return False
            case "early":
                connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
                send()
            case "big":
                left = int(value)
                told = f"Content-Length: {value}" if left % 2 else "X-Length: unknown"
                connection.sendall(f"HTTP/1.1 200 OK\r\n{told}\r\n\r\n".encode())
                block = bytes(1 << 20)
                while left > 0:
                    connection.sendall(block[:left])
                    left -= len(block)
                return False
            case "echo":
                send(body)
            case _:
                send()
        return True

    def close(self) -> None:
        self.stalled.set()
        self._ended.set()
        with contextlib.suppress(OSError):  # it is closed already
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in list(self._open):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(1)


@pytest.fixture
def serve() -> Iterator[Callable[..., Server]]:
    servers = []

    def make(context: ssl.SSLContext | None = None, port: int = 0) -> Server:
        servers.append(Server(context, port))
        return servers[-1]

    yield make
    for server in servers:
        server.close()


@pytest.fixture
def answering() -> Iterator[Callable[..., str]]:
    """Servers that answer whatever they read with the same bytes and hang up, or (None) never say anything."""
    listeners, held = [], []

    def serve(connection: socket.socket, speech: bytes | None, keep: bool) -> None:
        with contextlib.suppress(OSError):
            while connection.recv(65536) and speech is not None:
                connection.sendall(speech)
                if not keep:
                    break
            if speech is not None:
                connection.close()

    def accept(listener: socket.socket, speech: bytes | None, keep: bool) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listener.accept()
                held.append(connection)
                threading.Thread(target=serve, args=(connection, speech, keep), daemon=True).start()

    def make(speech: bytes | None, *, keep: bool = False) -> str:
        """``keep`` does not hang up. Gives ``HOST:PORT``."""
        listeners.append(listener := socket.create_server(("127.0.0.1", 0), backlog=100))
        threading.Thread(target=accept, args=(listener, speech, keep), daemon=True).start()
        return f"127.0.0.1:{listener.getsockname()[1]}"

    yield make
    for one in listeners + held:
        with contextlib.suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)
        one.close()
