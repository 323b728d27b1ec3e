"""``host:port`` as Go's net package writes it, with 127.0.0.1 where Go would take every interface."""

from __future__ import annotations

import asyncio
import socket
from functools import lru_cache
from typing import NamedTuple

DEFAULT_HOST = "127.0.0.1"


class BadAddress(ValueError):
    """An address that cannot be parsed or resolved."""


class HostPort(NamedTuple):
    """A host name or literal, and a port."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse(text: str) -> HostPort:
    """Split ``host:port``; an empty text or host means 127.0.0.1, an empty port 0. Raises BadAddress as Go words it."""
    if not text:
        return HostPort(DEFAULT_HOST, 0)
    host, colon, port = text.rpartition(":")
    if not colon:
        raise BadAddress(f"address {text}: missing port in address")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        raise BadAddress(f"address {text}: too many colons in address")
    if not port:
        return HostPort(host or DEFAULT_HOST, 0)
    if not port.isascii() or not port.isdigit():
        raise BadAddress(f"lookup tcp/{port}: unknown port")
    if int(port) > 65535:
        raise BadAddress(f"address {port}: invalid port")
    return HostPort(host or DEFAULT_HOST, int(port))


async def resolve(loop: asyncio.AbstractEventLoop, text: str) -> tuple[socket.AddressFamily, HostPort]:
    """The family and address of ``text``, its name resolved. Raises BadAddress."""
    found_at_once = literal(text)
    if found_at_once:
        return found_at_once
    wanted = parse(text)
    try:
        found = await loop.getaddrinfo(wanted.host, wanted.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise BadAddress(f"lookup {wanted.host}: no such host") from None
    # IPv4 first, as Go prefers it for names that have both.
    family, _, _, _, address = min(found, key=lambda entry: entry[0] != socket.AF_INET)
    return socket.AddressFamily(family), HostPort(str(address[0]), int(address[1]))


@lru_cache(maxsize=1024)
def literal(text: str) -> tuple[socket.AddressFamily, HostPort] | None:
    """The family and address of ``text`` when its host is an IP literal; None for a name. Raises BadAddress."""
    wanted = parse(text)
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            socket.inet_pton(family, wanted.host)
        except (OSError, UnicodeError):
            continue
        return family, wanted
    return None
