"""The control interface over HTTP on loopback, JSON both ways.

=====================  ===================================================================
``GET /``             the run, its directory, and where load reaches the stack
``GET /stack``        engines and links
``GET /catalogue``    the kinds of faults that can be begun here, with settings and targets
``GET /faults``       every fault so far, those that are on with ``ended`` null
``POST /faults``      ``{"fault": "latency", "target": "load -> shop", "settings": {"delay": 0.1}}`` begins one
``DELETE /faults/ID``  ends it
``POST /loads``        what a load generator tells of a load, for the run's events
=====================  ===================================================================

What goes wrong is ``{"error": "..."}``: 400 for what cannot be meant, 403 for who may not ask, 502 for what the stack
could not do. Times are CLOCK_MONOTONIC in ns.
"""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import unquote

from pytest_enterprise.control import guard
from pytest_enterprise.control.faults import TEST, HeldFaults
from pytest_enterprise.errors import ConfigurationError, EnterpriseError, nearest
from pytest_enterprise.faults import description
from pytest_enterprise.http_server import Request, Response, Server
from pytest_enterprise.live import LiveStack
from pytest_enterprise.running import PROXY
from pytest_enterprise.stack import LOAD

_HEADERS = {"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store"}


class ControlServer:
    """Serves a stack that is held, until it is closed; then all faults are undone."""

    def __init__(self, live: LiveStack) -> None:
        self._live = live
        self._held = HeldFaults(live)
        self._threads = ThreadPoolExecutor(max_workers=8, thread_name_prefix="control")
        self._server = Server(self._answer)
        self._lock = threading.Lock()
        self.url = ""
        self._used = 0.0
        """When the first fault or load began, by time.monotonic()."""

    def listen(self) -> str:
        """Start on a free port of loopback; the base URL."""
        host, port = self._live.portal.call(self._server.listen("127.0.0.1", self._live.run.ports.take()))
        self.url = f"http://{host}:{port}"
        return self.url

    def close(self) -> None:
        """Stop answering and undo every fault. Raises FaultFailed when one cannot be undone."""

        async def stop() -> None:
            self._server.close()

        try:
            self._held.close()
        finally:
            if self._used:
                seconds = time.monotonic() - self._used
                self._live.run.events.emit("test.finished", test=TEST, outcome="passed", seconds=round(seconds, 3))
            self._live.portal.call(stop())
            self._threads.shutdown(wait=False, cancel_futures=True)

    async def _answer(self, request: Request) -> Response:
        if reason := guard.why_not(request.method, request.headers):
            return _json({"error": reason}, 403)
        work, status = self._route(request)
        if work is None:
            return _json({"error": f"there is no {request.method} {request.path}; see GET /"}, 404)
        try:
            return _json(await asyncio.get_running_loop().run_in_executor(self._threads, work), status)
        except ConfigurationError as error:
            return _json({"error": str(error)}, 400)
        except EnterpriseError as error:
            return _json({"error": str(error)}, 502)

    def _route(self, request: Request) -> tuple[Callable[[], Any] | None, int]:
        gets: dict[str, Callable[[], Any]] = {
            "/": self._about,
            "/stack": self._stack,
            "/catalogue": lambda: description.describe(self._live.running),
            "/faults": lambda: {"now": time.monotonic_ns(), "faults": self._held.all()},
        }
        if request.method == "GET":
            return gets.get(request.path), 200
        if request.method == "POST" and request.path == "/faults":
            return lambda: self._use(self._held.begin, _document(request.body)), 201
        if request.method == "POST" and request.path == "/loads":
            return lambda: self._use(self._note_load, _document(request.body)), 201
        prefix, slash, id = request.path.rpartition("/")
        if request.method == "DELETE" and prefix == "/faults" and slash:
            return lambda: self._held.end(unquote(id)), 200
        return None, 404

    def _use(self, work: Callable[[dict[str, Any]], Any], document: dict[str, Any]) -> Any:
        """Do it; from the first time on, what happens stands in the run's events as that of one scenario."""
        with self._lock:
            if not self._used:
                self._used = time.monotonic()
                self._live.run.events.emit("test.started", test=TEST, scenario=True, title="A stack held by hand")
        return work(document)

    def _note_load(self, document: dict[str, Any]) -> dict[str, Any]:
        """Emit an event of a load in this process: a report joins loads to the faults of the same one."""
        kind = document.pop("kind", None)
        needed = {"load.started": {"load", "file", "closed_loop"}, "load.finished": {"load", "requests", "failures"}}
        if not isinstance(kind, str) or kind not in needed:
            raise ConfigurationError(f"kind={kind!r} is no event of a load. {nearest(str(kind), needed)}")
        if missing := needed[kind] - set(document):
            raise ConfigurationError(f"{kind} needs {', '.join(sorted(missing))}")
        reserved = {"t", "at", "pid", "test", "link"}
        fields = {name: value for name, value in document.items() if name not in reserved}
        links = {f"http://{link.address}": link.name for link in self._live.running.links.values()}
        link = {"link": links.get(str(document.get("host")))} if kind == "load.started" else {}
        self._live.run.events.emit(kind, test=TEST, **fields, **link)
        return {}

    def _about(self) -> dict[str, Any]:
        run = self._live.run
        running = self._live.running
        hosts = [f"http://{link.address}" for link in running.links.values() if link.client == LOAD]
        if not hosts:  # with no fault proxy between
            hosts = [f"http://{running.address(link.server)}" for link in running.spec.links if link.client == LOAD]
        return {"run": run.id, "directory": str(run.directory), "seed": run.seed, "hosts": hosts}

    def _stack(self) -> dict[str, Any]:
        running = self._live.running
        sites = [running.site(name) for name in running.running if name != PROXY]
        engines = [
            {"name": site.name, "runtime": site.runtime, "ports": {port: str(at) for port, at in site.host.items()}}
            for site in sites
        ]
        links = [
            {"name": link.name, "client": link.client, "server": link.server, "address": str(link.address)}
            for link in running.links.values()
        ]
        return {"engines": engines, "links": links}


def _document(body: bytes) -> dict[str, Any]:
    def refuse(constant: str) -> None:
        raise ConfigurationError(f"{constant} is no number that a setting can be")

    try:
        document = json.loads(body, parse_constant=refuse)
    except (ValueError, RecursionError) as error:
        raise ConfigurationError(f"the body is no JSON: {error}") from None
    if not isinstance(document, dict):
        raise ConfigurationError('the body is no object; send {"fault": KIND, "target": NAME, "settings": {}}')
    return document


def _json(value: Any, status: int = 200) -> Response:
    body = json.dumps(value, default=str).encode()
    return Response(status, body, headers=dict(_HEADERS))
