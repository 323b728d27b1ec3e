"""How much of an HTTP answer a user reads: all of it, decoded, up to a limit, so that none fills the memory."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from functools import partial
from typing import Any

import brotli
from locust.contrib.fasthttp import FastResponse

_BLOCK = 65536


class AnswerUnusable(ConnectionError):
    """An answer came and cannot be taken; one of the errors that Locust records as a failed request."""

    def __init__(self, kind: str) -> None:
        super().__init__(kind)
        self.kind = kind


class _Unusable(str):
    """Why an answer cannot be taken. Not raised where its bytes are: a traceback would keep them in memory."""

    __slots__ = ()


class BoundedResponse(FastResponse):
    """Locust's answer, refused at one byte more than ``most``, as received or as decoded; its connection is closed."""

    def __init__(self, *given: Any, most: int, **named: Any) -> None:
        super().__init__(*given, **named)
        self._most = most

    def _content(self) -> bytes:
        self._cached_content = None  # type: ignore[assignment]  # of an answer that fails, nothing more is read when somebody asks again
        try:
            found = self._received()
            if not isinstance(found, _Unusable):
                found = self._decoded(found)
        finally:
            self.release()  # which closes the connection unless the answer is whole
        if isinstance(found, _Unusable):
            raise AnswerUnusable(found)
        return found

    def _received(self) -> bytes | _Unusable:
        response: Any = self._response
        if response.message_complete:  # it came with its head
            body: bytes = response.read()
            return body if len(body) <= self._most else self._too_large()
        if (response.content_length or 0) > self._most:
            return self._too_large()
        parts, size = [], 0
        try:
            while part := response.read(_BLOCK):
                parts.append(part)
                size += len(part)
                if size > self._most:
                    return self._too_large()
        except BaseException:
            parts.clear()
            raise
        return b"".join(parts)

    def _decoded(self, body: bytes) -> bytes | _Unusable:
        encoding = str(self.headers.get("content-encoding") or "identity").strip().lower() if self.headers else ""
        if encoding in ("", "identity") or not body:
            return body
        decode = _DECODERS.get(encoding)
        if decode is None:
            return _Unusable(f"answer in an unknown encoding, {encoding[:40]}")
        try:
            decoded, whole = decode(body, self._most + 1)
        except (zlib.error, brotli.error):
            return _Unusable(f"answer is no {encoding}")
        if len(decoded) > self._most:
            return self._too_large()
        return decoded if whole else _Unusable(f"answer is no whole {encoding}")

    def _too_large(self) -> _Unusable:
        return _Unusable(f"answer over {self._most:,d} bytes")


def _inflate(body: bytes, limit: int, *, bits: int) -> tuple[bytes, bool]:
    """The first ``limit`` bytes at most, and whether the end was met."""
    decoder = zlib.decompressobj(bits)
    return decoder.decompress(body, limit), decoder.eof


def _deflate(body: bytes, limit: int) -> tuple[bytes, bool]:
    try:
        return _inflate(body, limit, bits=zlib.MAX_WBITS)
    except zlib.error:  # without the frame that the standard asks for, as some servers send it
        return _inflate(body, limit, bits=-zlib.MAX_WBITS)


def _brotli(body: bytes, limit: int) -> tuple[bytes, bool]:
    decoder = brotli.Decompressor()
    return decoder.process(body, output_buffer_limit=limit), decoder.is_finished()


_DECODERS: dict[str, Callable[[bytes, int], tuple[bytes, bool]]] = {
    "gzip": partial(_inflate, bits=16 + zlib.MAX_WBITS),
    "x-gzip": partial(_inflate, bits=16 + zlib.MAX_WBITS),
    "deflate": _deflate,
    "br": _brotli,
}
