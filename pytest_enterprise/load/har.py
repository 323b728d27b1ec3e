"""HAR 1.2 files, as browsers' developer tools and proxies write them."""

from __future__ import annotations

import base64
import json
from datetime import datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode, urlsplit

from pytest_enterprise.errors import ConfigurationError
from pytest_enterprise.load.access_log import target_of

if TYPE_CHECKING:
    from pytest_enterprise.load.recorded import Entry, Recording

_OURS = frozenset(
    {"host", "content-length", "connection", "keep-alive", "proxy-connection", "transfer-encoding", "te", "trailer"}
    | {"upgrade", "http2-settings", "expect", "accept-encoding"}
)
"""Headers that belong to a connection or are made anew."""


def read(recording: Recording, text: str, wanted: frozenset[str] | None, origin: str | None) -> None:
    """Add the requests that went to one host to a recording. Raises ConfigurationError when it is no HAR file."""
    try:
        document = json.loads(text)
    except ValueError as error:
        raise ConfigurationError(f"{recording.path} is no HAR file: it is not JSON: {error}") from None
    try:
        entries = document["log"]["entries"]
        if not isinstance(entries, list):
            raise TypeError
    except (KeyError, TypeError):
        raise ConfigurationError(f"{recording.path} is no HAR file: it has no list log.entries") from None
    for number, given in enumerate(entries, 1):
        try:
            address, entry = _entry(number, given)
        except (KeyError, TypeError, ValueError, AttributeError, UnicodeError) as error:
            method, url = (_text(given, "request", name) for name in ("method", "url"))
            recording.bad(number, f"{method} {url} ({type(error).__name__}: {error})")
            continue
        if entry is None:
            recording.skipped[f"{address.partition(':')[0]}: addresses, which are no HTTP"] += 1
            continue
        origin = origin or address
        if address != origin:
            recording.skipped[f"requests to another host ({address})"] += 1
        elif wanted is not None and entry.method not in wanted:
            recording.skipped[entry.method] += 1
        else:
            recording.entries.append(entry)


def _text(given: Any, *names: str) -> str:
    for name in names:
        given = given.get(name) if isinstance(given, dict) else None
    return str(given)


def _entry(number: int, given: Any) -> tuple[str, Entry | None]:
    """The host it went to, and the request; None for those of other protocols."""
    from pytest_enterprise.load.recorded import Entry

    request = given["request"]
    url = request["url"]
    if not isinstance(url, str):
        raise TypeError("its URL is no text")
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https"):
        return url, None
    host = parts.netloc.rpartition("@")[2]
    target = target_of(url)
    if not host or target is None:
        raise ValueError("its URL names no host")
    method = request["method"].upper()
    if not method.isascii() or not method.isalpha():
        raise ValueError("its method is no word")
    moment = datetime.fromisoformat(given["startedDateTime"])
    if moment.tzinfo is None:
        raise ValueError("startedDateTime has no time zone")
    body, kind = _body(request.get("postData"))
    headers = [(header["name"], header["value"]) for header in request.get("headers", ())]
    for name, value in headers:
        if any(c in name + value for c in "\r\n\0"):
            raise ValueError(f"the header {name!r} has a line break in it")
    headers = [(name, value) for name, value in headers if name.lower() not in _OURS and not name.startswith(":")]
    if body is not None and kind and "content-type" not in {name.lower() for name, _ in headers}:
        headers.append(("Content-Type", kind))
    status = int(given.get("response", {}).get("status") or 0)
    return host, Entry(moment.timestamp(), method, target, max(status, 0), number, tuple(headers), body)


def _body(given: dict[str, Any] | None) -> tuple[bytes | None, str]:
    if not given:
        return None, ""
    kind = given.get("mimeType") or ""
    text = given.get("text")
    if text:
        return (base64.b64decode(text, validate=True) if given.get("encoding") == "base64" else text.encode()), kind
    params = given.get("params")
    if params and "multipart" not in kind:
        return urlencode([(param["name"], param.get("value", "")) for param in params]).encode(), kind
    return None, kind
