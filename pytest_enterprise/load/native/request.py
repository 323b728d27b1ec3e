"""What is sent and what is expected in return, as data: ``HttpRequest("POST", "/tasks", json={...})``."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, asdict, dataclass, field, fields
from typing import Any

from pytest_enterprise.errors import ConfigurationError, nearest
from pytest_enterprise.load.native.template import Template, json_text
from pytest_enterprise.load.records import LARGEST

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_SHA256 = re.compile(r"([0-9a-fA-F]{64})?")
_OURS = ("content-length", "host", "transfer-encoding")


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


@dataclass(frozen=True, kw_only=True)
class Expect:
    """What makes an answer a success; anything else is a failure that is recorded with its kind."""

    status: int | Sequence[int] = ()
    """The status codes that are right; all below 400 when empty."""
    contains: str = ""
    """A text that the body must have in it."""
    json: Mapping[str, Any] = field(default_factory=dict)
    """Values that the body must have: ``{"status": "done", "steps.0.output": 21}``."""
    sha256: str = ""
    """The SHA-256 of the body, in hexadecimal digits, for answers that are the same each time."""
    max_bytes: int = LARGEST
    """The largest body; at one byte more the connection is closed, so memory stays bounded."""

    def __post_init__(self) -> None:
        statuses = self.status if isinstance(self.status, Sequence) else (self.status,)
        object.__setattr__(self, "status", tuple(statuses))
        for status in statuses:
            if not _whole(status) or not 100 <= status <= 599:
                raise ConfigurationError(f"expect: status={status!r} is none of HTTP; give numbers from 100 to 599")
        if not _SHA256.fullmatch(str(self.sha256)):
            raise ConfigurationError(
                f"expect: sha256={self.sha256!r} is no SHA-256; give 64 hexadecimal digits, as "
                "hashlib.sha256(body).hexdigest() does"
            )
        if not _whole(self.max_bytes) or self.max_bytes < 0:
            raise ConfigurationError(f"expect: max_bytes={self.max_bytes!r} is out of range; give a whole number")


@dataclass(frozen=True)
class HttpRequest:
    """One kind of request. Path, header values and body may have placeholders: see ``template``."""

    method: str
    path: str
    _: KW_ONLY
    json: Any = None
    """A body as JSON, with its content type."""
    body: str = ""
    """A body as it is, when ``json`` is not given."""
    headers: Mapping[str, str] = field(default_factory=dict)
    name: str = ""
    """The endpoint in records and reports; ``POST /tasks`` with the path as written when empty."""
    weight: float = 1.0
    """How often it is drawn, against the other requests of its load."""
    expect: Expect = Expect()

    def __post_init__(self) -> None:
        if not self.name:
            object.__setattr__(self, "name", f"{self.method} {self.path}")
        told = f"request {self.name!r}"
        if not _TOKEN.fullmatch(self.method):
            raise ConfigurationError(f"{told}: method={self.method!r} is none of HTTP; give GET, POST ...")
        if not self.path.startswith("/") or not self.path.isascii() or re.search(r"[\x00-\x20\x7f]", self.path):
            raise ConfigurationError(
                f"{told}: path={self.path!r} is no path; begin it with / and percent-encode what is not plain ASCII"
            )
        for name, value in self.headers.items():
            if not _TOKEN.fullmatch(name) or re.search(r"[\r\n\x00]", str(value)) or name.lower() in _OURS:
                raise ConfigurationError(f"{told}: header {name!r}: {value!r} cannot be sent")
        if self.json is not None and self.body:
            raise ConfigurationError(f"{told} has both json and body; give one of them")
        weight(told, self.weight)
        try:
            for text in (self.path, *map(str, self.headers.values()), self.text):
                Template(text)
        except TypeError as error:
            raise ConfigurationError(f"{told}: json={self.json!r} cannot be written as JSON: {error}") from None

    @property
    def text(self) -> str:
        """The body as a template."""
        return self.body if self.json is None else json_text(self.json)

    def document(self) -> dict[str, Any]:
        """As JSON; :func:`from_document` makes it again."""
        return asdict(self)


def from_document(document: Any) -> HttpRequest:
    """The request that :meth:`HttpRequest.document` described. Raises ConfigurationError."""
    if not isinstance(document, Mapping):
        raise ConfigurationError(f'request {document!r} is no object; write {{"method": "GET", "path": "/"}}')
    settings = {"method": "GET", **document}
    known("request", settings, HttpRequest)
    if "path" not in settings:
        raise ConfigurationError(f"request {dict(document)!r} has no path")
    if isinstance(expected := settings.get("expect"), Mapping):
        known("expect", expected, Expect)
        settings["expect"] = Expect(**expected)
    return HttpRequest(settings.pop("method"), settings.pop("path"), **settings)


def weight(told: str, value: Any) -> None:
    """ConfigurationError unless it can be weighed."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < 1e9:
        raise ConfigurationError(f"{told}: weight={value!r} is out of range; give a number above 0")


def known(told: str, settings: Mapping[str, Any], kind: type[Any]) -> None:
    names = {each.name for each in fields(kind)}
    for name in settings:
        if name not in names:
            raise ConfigurationError(f"{told}: there is no setting {name!r}. {nearest(name, names)}")
