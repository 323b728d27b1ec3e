"""Quick questions to servers, for readiness: one connection, one answer, a time limit, no client library."""

from __future__ import annotations

import asyncio
import contextlib
import struct
from collections.abc import AsyncIterator

from pytest_enterprise.engines.base import Address

LIMIT = 0.5
"""Seconds for one question."""


@contextlib.asynccontextmanager
async def _connection(address: Address) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection(*address)
    try:
        yield reader, writer
    finally:
        writer.close()


async def http(address: Address, path: str, *, holding: bytes = b"") -> str | None:
    """None when GET ``path`` is answered with 200 and a body that holds ``holding``; else what happened."""
    try:
        async with asyncio.timeout(LIMIT), _connection(address) as (reader, writer):
            writer.write(f"GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n".encode())
            answer = await reader.read(65536)
            while holding and holding not in answer and (more := await reader.read(65536)):
                answer += more
    except TimeoutError:
        return f"GET {path}: no answer within {LIMIT} s"
    except OSError as error:
        return f"GET {path}: {error.strerror or error}"
    first = answer.partition(b"\r\n")[0].decode(errors="replace")
    if first.split(" ")[1:2] != ["200"]:
        body = answer.partition(b"\r\n\r\n")[2][:200].decode(errors="replace").strip()
        return f"GET {path}: {first or 'closed without a word'} {body}".strip()
    return None if holding in answer else f"GET {path}: 200, but without {holding.decode()!r}"


async def tcp(address: Address) -> str | None:
    """None when something accepts a connection there."""
    try:
        async with asyncio.timeout(LIMIT), _connection(address):
            return None
    except TimeoutError:
        return f"no connection to {address} within {LIMIT} s"
    except OSError as error:
        return f"{address}: {error.strerror or error}"


async def postgres(address: Address, user: str, database: str) -> str | None:
    """None when the server lets ``user`` in without a password and says that it is ready for a query."""
    parameters = f"user\0{user}\0database\0{database}\0\0".encode()
    try:
        async with asyncio.timeout(LIMIT), _connection(address) as (reader, writer):
            writer.write(struct.pack(">II", len(parameters) + 8, 196608) + parameters)
            while True:
                kind, length = struct.unpack(">cI", await reader.readexactly(5))
                body = await reader.readexactly(length - 4)
                if kind == b"Z":
                    writer.write(b"X\0\0\0\4")
                    return None
                if kind == b"E":
                    said = [f[1:] for f in body.decode(errors="replace").split("\0") if f[:1] == "M"]
                    return f"PostgreSQL says: {' '.join(said)}"
    except TimeoutError:
        return f"no answer from {address} within {LIMIT} s"
    except asyncio.IncompleteReadError:
        return f"{address} closed the connection"
    except OSError as error:
        return f"{address}: {error.strerror or error}"
