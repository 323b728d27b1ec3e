"""The connections of a load, in this process so that each socket can be counted."""

from __future__ import annotations

import asyncio
import socket
from collections import Counter
from random import Random
from time import monotonic_ns
from types import SimpleNamespace
from urllib.parse import urlsplit

from pytest_enterprise.load import records
from pytest_enterprise.load.arrivals import Poisson
from pytest_enterprise.load.exemplars import Exemplars
from pytest_enterprise.load.native import http, stream
from pytest_enterprise.load.native.dispatcher import Dispatcher
from pytest_enterprise.load.native.pool import Pool
from pytest_enterprise.load.native.request import HttpRequest
from pytest_enterprise.load.records import RecordWriter


class Counted(socket.socket):
    """Knows how many of its kind were open at most."""

    open_now = peak = made = 0

    def __init__(self, *arguments):
        super().__init__(*arguments)
        Counted.made += 1
        Counted.open_now += 1
        Counted.peak = max(Counted.peak, Counted.open_now)

    def close(self):
        Counted.open_now -= self.fileno() >= 0
        super().close()


def test_the_limit_of_connections_holds_whatever_becomes_of_requests(serve, tmp_path, monkeypatch):
    """Some are given up, some are hung up on, some succeed: a connection is closed before one takes its place."""
    server = serve()
    paths = ["/never", "/hang-up", "/reset", "/close", "/"]
    requests = [HttpRequest("GET", path).document() for path in paths]
    protocol = http.protocol({"requests": requests, "seed": 1, "ca": None, "keep_alive": True}, urlsplit(server.url))
    loop = asyncio.new_event_loop()
    writer = RecordWriter(tmp_path / "x")
    pool = Pool(loop, protocol.connect, 5, writer, Exemplars(tmp_path / "x"), Random(1))
    dispatcher = Dispatcher(
        loop,
        pool,
        protocol.plans,
        moments=Poisson(rate=300).times(Random(1)),
        seconds=1.0,
        timeout=0.05,
        random=Random(1),
        over=lambda _: loop.stop(),
    )
    # Of the engine alone: the server's sockets are made by the same module.
    monkeypatch.setattr(stream, "socket", SimpleNamespace(**{**vars(socket), "socket": Counted}))
    dispatcher.start(monotonic_ns())
    loop.run_forever()
    loop.close()
    writer.close()
    kinds = Counter(record.error for record in records.read(tmp_path / "x"))
    assert {"", "TimeoutError", "HTTPConnectionClosed", "ConnectionResetError"} <= set(kinds)
    assert kinds.total() == dispatcher.figures["made"] > 200
    assert Counted.made > 50
    assert Counted.peak == 5
    assert Counted.open_now == 0
