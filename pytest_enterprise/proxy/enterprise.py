"""What our proxy offers beside Toxiproxy's interface, under ``/enterprise/``; strict where Toxiproxy is lenient."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from pytest_enterprise.http_server import Response
from pytest_enterprise.proxy import values
from pytest_enterprise.proxy.address import BadAddress
from pytest_enterprise.proxy.conditions import Conditions
from pytest_enterprise.proxy.control import (
    ApiError,
    Router,
    bad_body,
    fields_of,
    new_toxic,
    proxy_view,
    start,
    success,
    toxic_view,
)
from pytest_enterprise.proxy.link import Link
from pytest_enterprise.proxy.listener import BindFailed
from pytest_enterprise.proxy.toxics import KINDS
from pytest_enterprise.proxy.toxics.base import Toxic

_PROXY = {"name": str, "listen": str, "upstream": str, "enabled": bool, "toxics": list}
_TOXIC = {"name": str, "type": str, "stream": str, "toxicity": float, "attributes": dict, "when": dict}
_TUNNEL = {"name": str, "listen": str, "routes": dict}


def _strict(document: Any, wanted: Mapping[str, type], what: str) -> dict[str, Any]:
    extra = values.unknown(document, wanted)
    if extra:
        raise ApiError(
            HTTPStatus.BAD_REQUEST, f"{what}: unknown field {extra[0]!r}; known: {', '.join(sorted(wanted)) or 'none'}"
        )
    try:
        return values.fields(document, wanted)
    except values.BadValue as error:
        raise bad_body(error) from None


def _load(body: bytes) -> Any:
    try:
        return values.load(body)
    except values.BadValue as error:
        raise bad_body(error) from None


def strict_toxic(link: Link, document: Any) -> Toxic:
    """A toxic whose every value makes sense. Raises ApiError."""
    found = _strict(document, _TOXIC, "toxic")
    kind = KINDS.get(found.get("type", ""))
    if kind is None:
        raise ApiError(
            HTTPStatus.BAD_REQUEST, f"unknown toxic type {found.get('type', '')!r}; known: {', '.join(sorted(KINDS))}"
        )
    toxicity = found.get("toxicity", 1.0)
    if not 0 <= toxicity <= 1:
        raise ApiError(HTTPStatus.BAD_REQUEST, f"toxicity {toxicity} is a share; give a number from 0 to 1")
    given = _strict(found.get("attributes"), fields_of(kind, fractions=True), f"attributes of {kind.kind}")
    _check_ranges(kind.kind, kind.fields, given)
    if problem := kind.problem(given):
        raise ApiError(HTTPStatus.BAD_REQUEST, f"{kind.kind}: {problem}")
    when = _conditions(found.get("when"))
    if kind.both and when.of_data:
        raise ApiError(
            HTTPStatus.BAD_REQUEST,
            f"{kind.kind} must see all data to know its protocol; give conditions on connections",
        )
    return new_toxic(link, document, fractions=True, when=when)


def _check_ranges(what: str, fields: Mapping[str, type], given: Mapping[str, Any]) -> None:
    for name, value in given.items():
        share = fields[name] is float
        if not isinstance(value, str) and (value < 0 or (share and value > 1)):
            limit = "from 0 to 1" if share else "of 0 or more"
            raise ApiError(HTTPStatus.BAD_REQUEST, f"{what}: {name} is {value}; give a number {limit}")


def _conditions(document: Any) -> Conditions:
    given = _strict(document, Conditions.FIELDS, "when")
    _check_ranges("when", Conditions.FIELDS, given)
    try:
        return Conditions(**given)
    except ValueError as error:
        raise ApiError(HTTPStatus.BAD_REQUEST, f"when: {error}") from None


class EnterpriseApi:
    """The handlers; :meth:`routes` puts them in place."""

    def __init__(self, router: Router) -> None:
        self._router = router
        self._collection = router.collection

    def routes(self) -> None:
        add = self._router.add
        add("/enterprise/counters", GET=self.counters)
        add("/enterprise/proxies", POST=self.create)
        add("/enterprise/proxies/{}/toxics", POST=self.add_toxic)
        add("/enterprise/proxies/{}/close", POST=self.close)
        add("/enterprise/proxies/{}/refuse", POST=self.refuse)
        add("/enterprise/openapi.json", GET=self.description)
        add("/enterprise/tunnels", GET=self.tunnels, POST=self.put_tunnel)

    async def description(self) -> Response:
        from pytest_enterprise.proxy.openapi import document

        return success(document())

    async def counters(self) -> Response:
        return success({name: link.counters() for name, link in self._collection.links.items()})

    async def create(self, *, body: bytes) -> Response:
        link = await self.create_link(_load(body))
        return success(proxy_view(link), HTTPStatus.CREATED)

    async def create_link(self, document: Any) -> Link:
        """Make a link with its toxics, then start it, so that no connection slips through before them."""
        wanted = _strict(document, _PROXY, "proxy")
        for required in ("name", "upstream"):
            if not wanted.get(required):
                raise ApiError(HTTPStatus.BAD_REQUEST, f"missing required field: {required}")
        name = wanted["name"]
        if name in self._collection.links:
            raise ApiError(HTTPStatus.CONFLICT, f"proxy already exists: {name}")
        link = self._collection.link(name=name, listen=wanted.get("listen", ""), upstream=wanted["upstream"])
        for toxic in wanted.get("toxics", []):
            link.add_toxic(strict_toxic(link, toxic))
        if wanted.get("enabled", True):
            await start(link)
        self._collection.links[name] = link
        return link

    async def add_toxic(self, name: str, *, body: bytes) -> Response:
        """As Toxiproxy's, but strict, and milliseconds may have fractions."""
        link = self._router.link(name)
        toxic = strict_toxic(link, _load(body))
        link.add_toxic(toxic)
        return success(toxic_view(toxic), HTTPStatus.CREATED)

    async def close(self, name: str, *, body: bytes) -> Response:
        link = self._router.link(name)
        how = _strict(_load(body), {"how": str}, "close").get("how")
        if how not in ("reset", "fin"):
            raise ApiError(HTTPStatus.BAD_REQUEST, f"how is {how!r}; give 'reset' or 'fin'")
        return success({"closed": link.hang_up(reset=how == "reset")})

    async def refuse(self, name: str, *, body: bytes) -> Response:
        link = self._router.link(name)
        wanted = _strict(_load(body), {"refuse": bool, "keep": bool}, "refuse")
        if "refuse" not in wanted:
            raise ApiError(HTTPStatus.BAD_REQUEST, "missing required field: refuse")
        return success({"closed": link.refuse(wanted["refuse"], keep=wanted.get("keep", False))})

    async def tunnels(self) -> Response:
        return success({name: tunnel.describe() for name, tunnel in self._collection.tunnels.items()})

    async def put_tunnel(self, *, body: bytes) -> Response:
        return success(await self.open_tunnel(_load(body)), HTTPStatus.CREATED)

    async def open_tunnel(self, document: Any) -> dict[str, object]:
        """Add or replace a tunnel. Raises ApiError, with nothing changed."""
        wanted = _strict(document, _TUNNEL, "tunnel")
        if not wanted.get("name"):
            raise ApiError(HTTPStatus.BAD_REQUEST, "missing required field: name")
        routes: dict[str, str] = {}
        for target, name in wanted.get("routes", []):
            if not isinstance(name, str):
                raise ApiError(HTTPStatus.BAD_REQUEST, f"tunnel: the route of {target!r} is not the name of a proxy")
            routes[target] = name
        try:
            tunnel = await self._collection.open_tunnel(
                name=wanted["name"], listen=wanted.get("listen", ""), routes=routes
            )
        except (BadAddress, BindFailed) as error:
            raise ApiError(HTTPStatus.INTERNAL_SERVER_ERROR, str(error)) from None
        return tunnel.describe()
