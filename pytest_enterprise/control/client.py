"""Finds the stack that ``pytest-enterprise up`` holds, and asks its control interface."""

from __future__ import annotations

import json
import os
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

from pytest_enterprise.control import guard
from pytest_enterprise.errors import ConfigurationError, EnterpriseError

VARIABLE = "PYTEST_ENTERPRISE_CONTROL"
"""The URL of the control interface, for those that do not find the file."""
REPORTS = "PYTEST_ENTERPRISE_REPORTS"
_QUICK = 2.0
_SLOW = 120.0
"""Seconds for a fault to begin or end: an engine may have to start meanwhile."""


class Refused(EnterpriseError):
    """The control interface said no; the message is its sentence, ``status`` the HTTP status."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class Gone(EnterpriseError):
    """Nobody answers at the control interface."""


def announcement(reports: str | Path) -> Path:
    """The file in which ``up`` tells its address to those who work in the same directory."""
    return Path(reports) / "up.json"


class Control(NamedTuple):
    """The control interface of a stack that is held."""

    url: str

    def get(self, path: str) -> Any:
        """What there is at ``path``. Raises Refused, Gone."""
        return self._ask("GET", path, None, _QUICK)

    def begin(self, document: Any) -> dict[str, Any]:
        """Begin a fault: ``{"fault": KIND, "target": NAME, "settings": {}}``. Raises Refused, Gone."""
        began: dict[str, Any] = self._ask("POST", "/faults", document, _SLOW)
        return began

    def end(self, id: str) -> dict[str, Any]:
        """End a fault. Raises Refused, Gone."""
        ended: dict[str, Any] = self._ask("DELETE", f"/faults/{quote(id, safe='')}", None, _SLOW)
        return ended

    def tell(self, kind: str, fields: dict[str, Any]) -> None:
        """Let an event of a load, ``load.started`` or ``load.finished``, stand in those of the stack's run.

        Raises Refused, Gone.
        """
        self._ask("POST", "/loads", {"kind": kind, **fields}, _QUICK)

    def _ask(self, method: str, path: str, document: Any, timeout: float) -> Any:
        body = None if document is None else json.dumps(document).encode()
        headers = {} if body is None else {"Content-Type": guard.JSON}
        request = urllib.request.Request(self.url + path, body, headers, method=method)
        # Loopback is never behind a proxy, whatever the environment says of one.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=timeout) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            with error:
                raise Refused(_sentence(error.read()), error.code) from None
        except (OSError, ValueError) as error:
            raise Gone(f"the stack's control interface at {self.url} does not answer: {error}") from None


def _sentence(body: bytes) -> str:
    try:
        return str(json.loads(body)["error"])
    except (ValueError, KeyError, TypeError):
        return body.decode(errors="replace").strip()


def find() -> Control | None:
    """The stack that is up: by the variable, else by the file in the reports' directory; None when there is none.

    Raises ConfigurationError for a variable that names no address of loopback.
    """
    if url := os.environ.get(VARIABLE):
        if not url.startswith("http://") or not guard.is_loopback(guard.host_of(url)):
            raise ConfigurationError(f"${VARIABLE}: {url!r} is no control interface; write http://127.0.0.1:PORT")
        return Control(url.rstrip("/"))
    try:
        told = json.loads(announcement(os.environ.get(REPORTS) or "reports").read_text(encoding="utf-8"))
        found = Control(str(told["control"]))
        if not guard.is_loopback(guard.host_of(found.url)) or found.get("/")["run"] != told["run"]:
            return None
    except (OSError, ValueError, KeyError, TypeError, EnterpriseError):
        return None  # it has ended, and could not say so
    return found
