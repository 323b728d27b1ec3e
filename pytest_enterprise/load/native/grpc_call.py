"""What is called over gRPC, as data: ``GrpcCall("/shop.Orders/Add", [one.SerializeToString() for one in orders])``."""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from typing import Any

from pytest_enterprise.errors import ConfigurationError
from pytest_enterprise.load.native.request import known, weight
from pytest_enterprise.load.native.template import Template

_METHOD = re.compile(r"/[^/\s]+/[^/\s]+")
_KEY = re.compile(r"[0-9a-z_.-]+")


@dataclass(frozen=True)
class GrpcCall:
    """One kind of unary call. Texts may have placeholders: see ``template``."""

    method: str
    """``/shop.Orders/Add``."""
    message: bytes | str | Sequence[bytes] = b""
    """The serialized message; or several, of which one is drawn for each call; or a text."""
    _: KW_ONLY
    metadata: Mapping[str, str] = field(default_factory=dict)
    name: str = ""
    """The endpoint in records and reports; ``gRPC /shop.Orders/Add`` when empty."""
    weight: float = 1.0
    """How often it is drawn, against the other calls of its load."""
    expect: bytes | str | None = None
    """The right answer, serialized; None: whatever comes with the status OK."""

    def __post_init__(self) -> None:
        method: Any = self.method
        message: Any = self.message
        expect: Any = self.expect
        told = f"call {method!r}"
        if not isinstance(method, str) or not method.isascii() or not _METHOD.fullmatch(method):
            raise ConfigurationError(f"{told} is no method; write /PACKAGE.SERVICE/METHOD")
        if not isinstance(message, (bytes, str)) and not (
            isinstance(message, Sequence) and message and all(isinstance(one, bytes) for one in message)
        ):
            raise ConfigurationError(f"{told}: message={message!r} is none; give bytes, a list of bytes, or a text")
        if isinstance(self.message, str):
            Template(self.message)
        for name, value in self.metadata.items():
            if not _KEY.fullmatch(name) or name.startswith("grpc-") or name.endswith("-bin"):
                raise ConfigurationError(f"{told}: metadata {name!r} cannot be sent; give lower-case letters and texts")
            if not str(value).isascii() or not str(value).isprintable():
                raise ConfigurationError(f"{told}: metadata {name!r}: {value!r} cannot be sent; give plain ASCII")
            Template(str(value))
        if expect is not None and not isinstance(expect, (bytes, str)):
            raise ConfigurationError(f"{told}: expect={expect!r} is no answer; give bytes")
        weight(told, self.weight)
        object.__setattr__(self, "name", self.name or f"gRPC {self.method}")

    def document(self) -> dict[str, Any]:
        """As JSON; :func:`from_document` makes it again. Bytes are in base64."""
        message = self.message
        return {
            "method": self.method,
            **({"message": message} if isinstance(message, str) else {"base64": _coded(message)}),
            "metadata": {key: str(value) for key, value in self.metadata.items()},
            "name": self.name,
            "weight": self.weight,
            "expect": None if self.expect is None else _coded(self.expect),
        }


def _coded(message: Any) -> Any:
    if isinstance(message, str):
        message = message.encode()
    return b64encode(message).decode() if isinstance(message, bytes) else [_coded(one) for one in message]


def _decoded(told: str, value: Any) -> Any:
    if isinstance(value, list):
        return [_decoded(told, one) for one in value]
    try:
        return b64decode(value, validate=True)
    except (TypeError, ValueError):
        raise ConfigurationError(f"{told}: {value!r} is no base64") from None


def from_document(document: Any) -> GrpcCall:
    """The call that :meth:`GrpcCall.document` described. Raises ConfigurationError."""
    if not isinstance(document, Mapping) or not isinstance(document.get("method"), str):
        raise ConfigurationError(f'call {document!r} is none; write {{"method": "/shop.Orders/Add", "base64": "..."}}')
    settings = dict(document)
    told = f"call {settings['method']!r}"
    coded = settings.pop("base64", None)
    known(told, settings, GrpcCall)
    if coded is not None:
        if "message" in settings:
            raise ConfigurationError(f"{told} has both message and base64; give one of them")
        settings["message"] = _decoded(told, coded)
    if settings.get("expect") is not None:
        settings["expect"] = _decoded(told, settings["expect"])
    return GrpcCall(**settings)
