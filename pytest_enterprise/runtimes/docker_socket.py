"""The Docker daemon over its socket with the standard library alone: quick questions, and clearing up after a crash.

Containers are started through testcontainers; this is for what must not wait for its import or outlives its process.
"""

from __future__ import annotations

import hashlib
import http.client
import ipaddress
import json
import os
import socket
import urllib.parse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pytest_enterprise.errors import EnterpriseError

DEFAULT = "unix:///var/run/docker.sock"


class DaemonSilent(EnterpriseError):
    """No Docker daemon answered at the address."""


class DaemonRefused(EnterpriseError):
    """The daemon answered with an error; ``status`` is the HTTP status."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


def address(environ: Mapping[str, str] = os.environ) -> str:
    """Where the daemon is: DOCKER_HOST, else the current Docker context, else the usual socket."""
    if host := environ.get("DOCKER_HOST"):
        return host
    folder = Path(environ.get("DOCKER_CONFIG") or Path.home() / ".docker")
    try:
        name = environ.get("DOCKER_CONTEXT") or json.loads((folder / "config.json").read_text())["currentContext"]
        meta = folder / "contexts" / "meta" / hashlib.sha256(name.encode()).hexdigest() / "meta.json"
        return str(json.loads(meta.read_text())["Endpoints"]["docker"]["Host"])
    except (OSError, ValueError, KeyError, TypeError):
        return DEFAULT


def is_local(where: str) -> bool:
    """Whether the daemon shares this machine's files and loopback, which bind mounts and published ports need."""
    parts = urllib.parse.urlsplit(where)
    if parts.scheme == "unix":
        return True
    if parts.scheme not in ("tcp", "http"):
        return False
    try:
        return ipaddress.ip_address(parts.hostname or "").is_loopback
    except ValueError:
        return parts.hostname == "localhost"


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def request(method: str, path: str, *, where: str | None = None, timeout: float = 60.0, **query: Any) -> Any:
    """One call of the Docker API; the decoded answer. ``timeout`` is in seconds, for each read.

    Raises DaemonSilent when nothing answers, DaemonRefused for a status of 400 and more.
    """
    where = where or address()
    parts = urllib.parse.urlsplit(where)
    connection: http.client.HTTPConnection
    if parts.scheme == "unix":
        connection = _UnixConnection(parts.path, timeout)
    elif parts.scheme in ("tcp", "http"):
        connection = http.client.HTTPConnection(parts.hostname or "127.0.0.1", parts.port or 2375, timeout=timeout)
    else:
        raise DaemonSilent(f"{where}: only a daemon on this machine (unix:///path or tcp://127.0.0.1:port) can be used")
    encoded = {k: json.dumps(v) if isinstance(v, dict) else v for k, v in query.items()}
    try:
        connection.request(method, path + ("?" + urllib.parse.urlencode(encoded) if encoded else ""))
        answer = connection.getresponse()
        body = answer.read()
    except (OSError, http.client.HTTPException) as error:
        raise DaemonSilent(f"no Docker daemon answers at {where} ({error})") from error
    finally:
        connection.close()
    text = body.decode("utf-8", "replace")
    content = json.loads(text) if text and "json" in (answer.getheader("Content-Type") or "") else text
    if answer.status >= 400:
        message = content.get("message", text) if isinstance(content, dict) else text
        raise DaemonRefused(f"{method} {path}: {message.strip()}", answer.status)
    return content


def answers(timeout: float = 0.8) -> bool:
    """Whether a Docker daemon on this machine answers within ``timeout`` seconds."""
    where = address()
    if not is_local(where):
        return False
    try:
        return bool(request("GET", "/_ping", where=where, timeout=timeout) == "OK")
    except EnterpriseError:
        return False


def has_image(image: str, timeout: float = 5.0) -> bool:
    """Whether the daemon holds the image; asks no registry."""
    try:
        request("GET", f"/images/{image}/json", timeout=timeout)
    except EnterpriseError:
        return False
    return True
