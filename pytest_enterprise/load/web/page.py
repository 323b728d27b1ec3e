"""The page in Locust's web UI: its routes, its tab, and who may use it."""

from __future__ import annotations

import ipaddress
import json
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from flask import Blueprint, Response, request
from flask_cors.core import FLASK_CORS_EVALUATED

from pytest_enterprise.control import client, guard
from pytest_enterprise.errors import EnterpriseError
from pytest_enterprise.load.web.recording import Recording

TITLE = "Faults and objectives"
STATIC = Path(__file__).with_name("static")
_TYPES = {".css": "text/css", ".html": "text/html", ".js": "text/javascript", ".svg": "image/svg+xml"}
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; "
    "frame-ancestors 'self'; base-uri 'none'; form-action 'none'"
)


class Observer:
    """The observer's process, asked one thing at a time."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            (sys.executable, "-m", "pytest_enterprise.load.web.observer"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,  # Ctrl-C is not for it: it ends with its stdin
        )
        self._lock = threading.Lock()

    def ask(self, command: dict[str, Any]) -> dict[str, Any]:
        """The answer to a command. Raises EnterpriseError when the observer has ended."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with self._lock:
            try:
                self._process.stdin.write(json.dumps(command).encode() + b"\n")
                self._process.stdin.flush()
                line = self._process.stdout.readline()
            except (OSError, ValueError):
                line = b""
        if not line.endswith(b"\n"):
            raise EnterpriseError(
                "the process that reads the records has ended; Locust's log tells why. Start Locust again"
            )
        answer: dict[str, Any] = json.loads(line)
        return answer

    def tell(self, command: dict[str, Any]) -> None:
        """The same for what the load may go on without."""
        try:
            self.ask(command)
        except EnterpriseError as error:
            print(f"pytest-enterprise: {error}", file=sys.stderr)  # noqa: T201

    def close(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.close()
        except OSError:
            pass
        self._process.wait()
        self._process.stdout.close()


def install(environment: Any, web_ui: Any = None, **_: Any) -> None:
    """Add the page to Locust's web UI; the listener for Locust's ``init`` event. Does nothing without web UI."""
    if web_ui is None or "enterprise" in web_ui.app.blueprints:
        return
    observer = Observer()
    recording = Recording(environment, observer.tell)
    environment.events.quitting.add_listener(lambda **_: observer.close())
    app = web_ui.app
    base = app.blueprints["locust"].url_prefix or ""
    pages = Blueprint("enterprise", __name__, url_prefix=f"{base}/enterprise")
    _Routes(web_ui, observer, recording).add(pages)
    app.register_blueprint(pages)
    if guard.is_loopback(web_ui.host):
        app.before_request(lambda: _refuse(web_ui, "GET"))
    web_ui.template_args["extended_tabs"] = [
        *web_ui.template_args.get("extended_tabs", ()),
        {"title": TITLE, "key": "enterprise"},
    ]
    app.after_request(_add_tab)


class _Routes:
    def __init__(self, web_ui: Any, observer: Observer, recording: Recording) -> None:
        self._web_ui = web_ui
        self._observer = observer
        self._recording = recording

    def add(self, pages: Blueprint) -> None:
        pages.before_request(lambda: _refuse(self._web_ui, request.method))
        pages.after_request(_harden)
        for path, view, method in (
            ("/", lambda: _static("page.html"), "GET"),
            ("/<name>", _static, "GET"),
            ("/state", self._state, "GET"),
            ("/stack", self._stack, "GET"),
            ("/faults", self._begin, "POST"),
            ("/faults/<id>", self._end, "DELETE"),
        ):
            allowed = self._web_ui.auth_required_if_enabled(view)
            pages.add_url_rule(path, f"{method} {path}".replace(".", ""), allowed, methods=[method])

    def _state(self) -> Response:
        since = request.args.get("since", "0")
        command = {"do": "state", "load": request.args.get("load", ""), "since": int(since) if since.isdigit() else 0}
        try:
            state = self._observer.ask(command)
        except EnterpriseError as error:
            return _json({"error": str(error)}, 503)
        figures = self._recording.figures()
        if figures["behind"]:
            _judge_nothing(state, f"generator behind: {figures['behind']}")
        elif figures["missing"]:
            _judge_nothing(state, f"not all requests are known: {figures['missing']}")
        return _json({**state, "locust": figures})

    def _stack(self) -> Response:
        def both(control: client.Control) -> Any:
            return {"stack": control.get("/stack"), "catalogue": control.get("/catalogue"), **control.get("/")}

        return self._through(both)

    def _begin(self) -> Response:
        document = request.get_json(silent=True)
        return self._through(lambda control: control.begin(document))

    def _end(self, id: str) -> Response:
        return self._through(lambda control: control.end(id))

    def _through(self, ask: Callable[[client.Control], Any]) -> Response:
        """What the stack's control interface answers."""
        if not guard.is_loopback(request.remote_addr or ""):
            reason = "faults are begun and ended from the machine itself only; forward the port: ssh -L"
            return _json({"error": reason}, 403)
        try:
            control = client.find()
            if control is None:
                return _json({"error": "no stack is up: there is nothing to disturb"}, 404)
            return _json(ask(control))
        except client.Refused as error:
            return _json({"error": str(error)}, error.status)
        except EnterpriseError as error:
            return _json({"error": str(error)}, 502)


def _judge_nothing(state: dict[str, Any], why: str) -> None:
    """Take the verdicts back: a generator that falls behind its arrivals is not what users do, nor is a part of it."""
    for verdict in (*state["objectives"], *(v for fault in state["faults"] for v in fault["verdicts"])):
        verdict |= {"outcome": "not judged", "detail": why}


def _static(name: str) -> Response:
    path = STATIC / name
    if name not in {file.name for file in STATIC.iterdir()} or path.suffix not in _TYPES:
        return _json({"error": f"there is no {name}"}, 404)
    return Response(path.read_bytes(), content_type=f"{_TYPES[path.suffix]}; charset=utf-8")


def _json(value: Any, status: int = 200) -> Response:
    return Response(json.dumps(value), status, content_type="application/json")


def _refuse(web_ui: Any, method: str) -> Response | None:
    """The answer to a request of another site's page, or of a name that was made to mean this machine."""
    headers = {name.lower(): value for name, value in request.headers.items()}
    host = guard.host_of(headers.get("host", ""))
    meant = {host} if not guard.is_loopback(web_ui.host) and _is_address(host) else set()
    reason = guard.why_not(method, headers, browser=True, names=meant)
    return _json({"error": reason}, 403) if reason else None


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _harden(response: Response) -> Response:
    response.headers["Content-Security-Policy"] = _POLICY
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Cache-Control"] = "no-store"
    setattr(response, FLASK_CORS_EVALUATED, True)  # Locust lets pages of every site read its answers; not these
    return response


def _add_tab(response: Response) -> Response:
    """Locust's tabs can hold tables only: a script puts the page into ours, and a link to it above all of them."""
    if request.endpoint == "locust.index" and response.status_code == 200 and response.mimetype == "text/html":
        text = response.get_data(as_text=True)
        response.set_data(text.replace("</body>", '<script src="./enterprise/tab.js"></script></body>', 1))
    return response
