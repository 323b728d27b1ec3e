"""Who may use an interface on loopback: programs of this machine, and no page of any web site."""

from __future__ import annotations

import ipaddress
from collections.abc import Collection, Mapping
from urllib.parse import urlsplit

JSON = "application/json"


def host_of(header: str) -> str:
    """The host of a ``Host`` header or an origin, in lower case, without port and brackets; empty when it is none."""
    try:
        return urlsplit(header if "//" in header else f"//{header}").hostname or ""
    except ValueError:
        return ""


def is_loopback(host: str) -> bool:
    """Whether this is a name or an address that can only mean this machine."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def why_not(
    method: str, headers: Mapping[str, str], *, browser: bool = False, names: Collection[str] = ()
) -> str | None:
    """Why a request is refused, as a sentence; None when it may pass. Header names in lower case.

    A web site whose name is made to mean 127.0.0.1 sends its own name as host; a page of another site says its origin.
    ``browser``: the interface is for a page of its own, so requests of that page pass. ``names`` are further hosts that
    are meant.
    """
    host = headers.get("host", "")
    if not is_loopback(host_of(host)) and host_of(host) not in names:
        return f"host {host!r} is not this machine's loopback; open it as http://127.0.0.1"
    origin = headers.get("origin")
    if origin is not None and not (browser and urlsplit(origin).netloc == host):
        return f"requests of pages of other sites are refused (origin {origin!r})"
    site = headers.get("sec-fetch-site")
    if site not in (None, "none") and not (browser and site == "same-origin"):
        return f"requests of pages of other sites are refused ({site})"
    kind = headers.get("content-type", "").partition(";")[0].strip()
    if method not in ("GET", "HEAD", "DELETE") and kind != JSON:
        return f"content type {kind!r} is not accepted; send {JSON}"
    return None
