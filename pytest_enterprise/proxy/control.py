"""What both interfaces of the control port share: routing, errors in Toxiproxy's form, the lock, the views."""

from __future__ import annotations

import asyncio
import re
import secrets
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import Any
from urllib.parse import unquote

from pytest_enterprise.http_server import Request, Response
from pytest_enterprise.proxy import values
from pytest_enterprise.proxy.address import BadAddress
from pytest_enterprise.proxy.collection import Collection
from pytest_enterprise.proxy.conditions import ALWAYS, Conditions
from pytest_enterprise.proxy.link import Link
from pytest_enterprise.proxy.listener import BindFailed
from pytest_enterprise.proxy.toxics import KINDS
from pytest_enterprise.proxy.toxics.base import Stage, Toxic

PLAIN = "text/plain; charset=utf-8"
_NOSNIFF = {"X-Content-Type-Options": "nosniff"}
_TOXIC_FIELDS = {"name": str, "type": str, "stream": str, "toxicity": float, "attributes": dict}


class ApiError(Exception):
    """An answer other than success."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status

    def response(self) -> Response:
        body = values.dump({"error": str(self), "status": self.status}) + b"\n"
        return Response(self.status, body, PLAIN, dict(_NOSNIFF))


def bad_body(error: values.BadValue) -> ApiError:
    return ApiError(HTTPStatus.BAD_REQUEST, f"bad request body: {error}")


def success(value: Any, status: int = HTTPStatus.OK) -> Response:
    return Response(status, values.dump(value))


def proxy_view(link: Link) -> dict[str, Any]:
    """A link as Toxiproxy shows a proxy."""
    return {
        "name": link.name,
        "listen": link.listen,
        "upstream": link.upstream,
        "enabled": link.enabled,
        "Logger": {},
        "toxics": [toxic_view(toxic) for toxic in in_order(link.toxics)],
    }


def toxic_view(toxic: Toxic) -> dict[str, Any]:
    return {
        "attributes": toxic.attributes,
        "name": toxic.name,
        "type": toxic.kind.kind,
        "stream": toxic.stream,
        "toxicity": values.number(toxic.toxicity),
        **({"when": when} if (when := toxic.when.as_dict()) else {}),
    }


def in_order(toxics: list[Toxic]) -> list[Toxic]:
    """Upstream ones first, as Toxiproxy lists them."""
    return sorted(toxics, key=lambda toxic: not toxic.upstream)


async def start(link: Link) -> None:
    """Start a link; what keeps it from it is a 500, in Go's words."""
    try:
        await link.start()
    except BadAddress as error:
        raise ApiError(HTTPStatus.INTERNAL_SERVER_ERROR, f"listen tcp: {error}") from None
    except BindFailed as error:
        raise ApiError(HTTPStatus.INTERNAL_SERVER_ERROR, str(error)) from None


def new_toxic(link: Link, document: Any, *, fractions: bool = False, when: Conditions = ALWAYS) -> Toxic:
    """A toxic from a client's JSON, not yet on the link. Raises ApiError in Toxiproxy's order of checks.

    ``fractions`` allows them in fields of kind :attr:`Stage.fractional`.
    """
    try:
        found = values.fields(document, _TOXIC_FIELDS)
    except values.BadValue as error:
        raise bad_body(error) from None
    stream = found.get("stream", "downstream")
    if stream.lower() not in ("upstream", "downstream"):
        raise ApiError(HTTPStatus.BAD_REQUEST, "stream was invalid, can be either upstream or downstream")
    kind = KINDS.get(found.get("type", ""))
    if kind is None:
        raise ApiError(HTTPStatus.BAD_REQUEST, "invalid toxic type")
    name = found.get("name") or f"{kind.kind}_{stream}"
    if link.toxic(name):
        raise ApiError(HTTPStatus.CONFLICT, "toxic already exists")
    return Toxic(
        name=name,
        kind=kind,
        stream=stream,
        toxicity=found.get("toxicity", 1.0),
        attributes=attributes(fields_of(kind, fractions=fractions), found.get("attributes")),
        counters=link.counters_for(name),
        when=when,
    )


def fields_of(kind: type[Stage], *, fractions: bool) -> dict[str, type]:
    """The attributes of a type of toxic and what each is read as."""
    return {name: float if fractions and name in kind.fractional else read for name, read in kind.fields.items()}


def attributes(fields: Mapping[str, type], document: Any) -> dict[str, Any]:
    """A toxic's attributes from JSON. Raises ApiError."""
    try:
        return values.fields(document, fields, within="attributes")
    except values.BadValue as error:
        raise bad_body(error) from None


Action = Callable[..., Awaitable[Response]]


class Router:
    """Finds what answers a request: paths with ``{}`` for a name, and per path the methods."""

    def __init__(self, collection: Collection) -> None:
        self.collection = collection
        self.lock = asyncio.Lock()
        self._routes: list[tuple[re.Pattern[str], dict[str, Action]]] = []

    def add(self, path: str, **methods: Action) -> None:
        pattern = re.compile(
            "".join("([^/]+)" if part == "{}" else re.escape(part) for part in re.split(r"({})", path))
        )
        self._routes.append((pattern, methods))

    async def __call__(self, request: Request) -> Response:
        """Answer one request; those that change something run one after the other."""
        for pattern, methods in self._routes:
            match = pattern.fullmatch(request.path)
            if not match:
                continue
            action = methods.get(request.method)
            if action is None:
                return Response(HTTPStatus.METHOD_NOT_ALLOWED)
            response = await self._act(request, action, [unquote(name) for name in match.groups()])
            response.headers["X-Toxiproxy-Request-Id"] = secrets.token_hex(10)
            return response
        return Response(HTTPStatus.NOT_FOUND, b"404 page not found\n", PLAIN, dict(_NOSNIFF))

    async def _act(self, request: Request, action: Action, names: list[str]) -> Response:
        # Browsers must not reach a control port through a page somebody visits.
        if request.headers.get("user-agent", "").startswith("Mozilla/"):
            return Response(HTTPStatus.FORBIDDEN, b"User agent not allowed\n", PLAIN, dict(_NOSNIFF))
        try:
            if request.method == "GET":
                return await action(*names)
            async with self.lock:
                return await action(*names, body=request.body)
        except ApiError as error:
            return error.response()

    def link(self, name: str) -> Link:
        link = self.collection.links.get(name)
        if link is None:
            raise ApiError(HTTPStatus.NOT_FOUND, "proxy not found")
        return link
