"""Access logs: the common and combined formats of Apache and nginx, and Envoy's default."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone
from functools import lru_cache
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from pytest_enterprise.load.recorded import Recording

BODILESS = frozenset({"GET", "HEAD", "OPTIONS"})
"""Methods that a log tells in whole."""
_QUOTED = r'"((?:[^"\\]|\\.)*)"'
# host ident user [time] "request" status bytes, then "referer" "user agent"; a virtual host may stand before it.
_COMMON = re.compile(rf"\S+(?: \S+)? \S+ .*?\[([^\]]+)\] {_QUOTED} (\d{{3}}|-) \S+(?: {_QUOTED} {_QUOTED})?")
_ENVOY = re.compile(rf"\[(\d{{4}}-[^\]]+)\] {_QUOTED} (\d{{1,3}}) ")
_TIME = re.compile(r"(\d\d)/(\w{3})/(\d{4}):(\d\d):(\d\d):(\d\d)(?:\.(\d+))? ([+-])(\d\d)(\d\d)")
_REQUEST = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+) (\S+)(?: (HTTP/[\d.]+|-))?")
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_ESCAPE = re.compile(r'\\(x[0-9a-fA-F]{2}|["\\])')


@lru_cache(maxsize=16)
def _moment(text: str) -> float | None:
    match = _TIME.fullmatch(text)
    try:
        if match is None:
            return datetime.fromisoformat(text).timestamp() if text[:4].isdigit() else None
        day, month, year, hour, minute, second, fraction, sign, hours, minutes = match.groups()
        offset = timedelta(hours=int(hours), minutes=int(minutes))
        zone = timezone(-offset if sign == "-" else offset)
        number = _MONTHS.index(month.lower()) + 1
        at = datetime(int(year), number, int(day), int(hour), int(minute), int(second), tzinfo=zone)
    except ValueError:
        return None
    return at.astimezone(UTC).timestamp() + (float(f"0.{fraction}") if fraction else 0.0)


def _unescaped(text: str) -> str:
    return _ESCAPE.sub(lambda m: m[1] if len(m[1]) == 1 else chr(int(m[1][1:], 16)), text)


def target_of(address: str) -> str | None:
    """Path and query of a request's target, whatever host it names; None when it has no path."""
    if not address.startswith("/"):
        try:
            parts = urlsplit(address)
        except ValueError:
            return None
        if parts.scheme not in ("http", "https"):
            return None
        address = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    target = address.partition("#")[0]
    # A space or a control character would end the request's first line where the log's owner did not.
    return "".join(c if "!" <= c <= "~" else "".join(f"%{byte:02X}" for byte in c.encode()) for c in target)


def read(recording: Recording, text: str, wanted: frozenset[str] | None) -> None:
    """Add a log's requests to a recording."""
    from pytest_enterprise.load.recorded import Entry

    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        match = _ENVOY.match(line) or _COMMON.match(line)
        moment = _moment(match[1]) if match else None
        request = _REQUEST.fullmatch(_unescaped(match[2])) if match else None
        if match is None or moment is None or request is None:
            recording.bad(number, line)
            continue
        method = request[1].upper()
        if method not in (BODILESS if wanted is None else wanted):
            recording.skipped[f"{method}, whose body no log holds" if wanted is None else method] += 1
            continue
        target = target_of(request[2])
        if target is None:
            recording.bad(number, line)
            continue
        agent = match[5] if match.re is _COMMON and match[5] not in (None, "", "-") else None
        headers = (("User-Agent", _unescaped(agent)),) if agent and agent.isascii() and agent.isprintable() else ()
        status = int(match[3]) if match[3].isdigit() else 0
        recording.entries.append(Entry(moment, method, target, status, number, headers))
