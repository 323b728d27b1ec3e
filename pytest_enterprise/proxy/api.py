"""Toxiproxy's HTTP interface."""

from __future__ import annotations

import contextlib
from http import HTTPStatus
from typing import Any

from pytest_enterprise import __version__
from pytest_enterprise.http_server import Response
from pytest_enterprise.proxy import values
from pytest_enterprise.proxy.address import BadAddress, parse, resolve
from pytest_enterprise.proxy.control import (
    ApiError,
    Router,
    attributes,
    bad_body,
    in_order,
    new_toxic,
    proxy_view,
    start,
    success,
    toxic_view,
)
from pytest_enterprise.proxy.link import Link
from pytest_enterprise.proxy.toxics.base import Toxic

VERSION = f"2.12.0+pytest-enterprise.{__version__}"
"""The Toxiproxy whose interface this is, for clients that compare versions, then our own."""
_PROXY_FIELDS = {"name": str, "listen": str, "upstream": str, "enabled": bool}
_NO_CONTENT = HTTPStatus.NO_CONTENT


def _fields(document: Any, wanted: dict[str, type]) -> dict[str, Any]:
    try:
        return values.fields(document, wanted)
    except values.BadValue as error:
        raise bad_body(error) from None


def _load(body: bytes) -> Any:
    try:
        return values.load(body)
    except values.BadValue as error:
        raise bad_body(error) from None


class ToxiproxyApi:
    """The handlers; :meth:`routes` puts them in place."""

    def __init__(self, router: Router) -> None:
        self._router = router
        self._collection = router.collection

    def routes(self) -> None:
        add = self._router.add
        add("/proxies", GET=self.proxies, POST=self.create)
        add("/proxies/{}", GET=self.show, POST=self.update, PATCH=self.update, DELETE=self.delete)
        add("/proxies/{}/toxics", GET=self.toxics, POST=self.add_toxic)
        add(
            "/proxies/{}/toxics/{}",
            GET=self.toxic,
            POST=self.update_toxic,
            PATCH=self.update_toxic,
            DELETE=self.delete_toxic,
        )
        add("/populate", POST=self.populate)
        add("/reset", POST=self.reset)
        add("/version", GET=self.version)

    # Proxies.

    async def proxies(self) -> Response:
        links = self._collection.links
        return success({name: proxy_view(links[name]) for name in sorted(links)})

    async def create(self, *, body: bytes) -> Response:
        link = await self.create_link(_load(body))
        return success(proxy_view(link), HTTPStatus.CREATED)

    async def create_link(self, document: Any) -> Link:
        """Make, start and store a link. Raises ApiError, with nothing stored."""
        wanted = _fields(document, _PROXY_FIELDS)
        for required in ("name", "upstream"):
            if not wanted.get(required):
                raise ApiError(HTTPStatus.BAD_REQUEST, f"missing required field: {required}")
        if wanted["name"] in self._collection.links:
            raise ApiError(HTTPStatus.CONFLICT, "proxy already exists")
        link = self._collection.link(name=wanted["name"], listen=wanted.get("listen", ""), upstream=wanted["upstream"])
        if wanted.get("enabled", True):
            await start(link)
        self._collection.links[link.name] = link
        return link

    async def show(self, name: str) -> Response:
        return success(proxy_view(self._router.link(name)))

    async def update(self, name: str, *, body: bytes) -> Response:
        link = self._router.link(name)
        wanted = _fields(_load(body), _PROXY_FIELDS)
        listen = wanted.get("listen", link.listen)
        upstream = wanted.get("upstream", link.upstream)
        enabled = wanted.get("enabled", link.enabled)
        if upstream != link.upstream or await self._moves(link, listen):
            link.stop()
            link.listen = listen
            link.upstream = upstream
        if enabled and not link.enabled:
            await start(link)
        elif link.enabled and not enabled:
            link.stop()
        return success(proxy_view(link))

    async def _moves(self, link: Link, listen: str) -> bool:
        """Whether ``listen`` is another address than the link's own; a 500 when it cannot be parsed."""
        if listen == link.listen:
            return False
        try:
            _, address = await resolve(link.reactor.loop, listen)
        except BadAddress as error:
            raise ApiError(HTTPStatus.INTERNAL_SERVER_ERROR, str(error)) from None
        return str(address) != link.listen

    async def delete(self, name: str, *, body: bytes) -> Response:  # noqa: ARG002
        self._collection.remove(self._router.link(name))
        return Response(_NO_CONTENT)

    # Toxics.

    def _toxic(self, link: Link, name: str) -> Toxic:
        toxic = link.toxic(name)
        if toxic is None:
            raise ApiError(HTTPStatus.NOT_FOUND, "toxic not found")
        return toxic

    async def toxics(self, name: str) -> Response:
        return success([toxic_view(toxic) for toxic in in_order(self._router.link(name).toxics)])

    async def add_toxic(self, name: str, *, body: bytes) -> Response:
        link = self._router.link(name)
        toxic = new_toxic(link, _load(body))
        link.add_toxic(toxic)
        return success(toxic_view(toxic))

    async def toxic(self, name: str, toxic: str) -> Response:
        return success(toxic_view(self._toxic(self._router.link(name), toxic)))

    async def update_toxic(self, name: str, toxic_name: str, *, body: bytes) -> Response:
        link = self._router.link(name)
        toxic = self._toxic(link, toxic_name)
        wanted = _fields(_load(body), {"toxicity": float, "attributes": dict})
        changed = attributes(toxic.kind.fields, wanted.get("attributes"))
        toxic.attributes.update(changed)
        toxic.toxicity = wanted.get("toxicity", toxic.toxicity)
        link.change_toxic(toxic)
        return success(toxic_view(toxic))

    async def delete_toxic(self, name: str, toxic_name: str, *, body: bytes) -> Response:  # noqa: ARG002
        link = self._router.link(name)
        link.remove_toxic(self._toxic(link, toxic_name))
        return Response(_NO_CONTENT)

    # Everything.

    async def populate(self, *, body: bytes) -> Response:
        done: list[Link] = []
        try:
            for wanted in self._populating(body):
                done.append(await self._put(wanted))  # noqa: PERF401 - what was done until an error is told
        except ApiError as error:
            failed = {"error": str(error), "status": error.status, "proxies": _views(done)}
            return success(failed, error.status)
        return success({"proxies": _views(done)}, HTTPStatus.CREATED)

    def _populating(self, body: bytes) -> list[dict[str, Any]]:
        """The entries, all checked. Raises ApiError."""
        try:
            entries = [values.fields(entry, _PROXY_FIELDS) for entry in values.items(values.load(body))]
        except values.BadValue as error:
            raise bad_body(error) from None
        for number, entry in enumerate(entries, 1):
            for required in ("name", "upstream"):
                if not entry.get(required):
                    raise ApiError(HTTPStatus.BAD_REQUEST, f"missing required field: {required} at proxy {number}")
        return entries

    async def _put(self, wanted: dict[str, Any]) -> Link:
        listen = wanted.get("listen", "")
        existing = self._collection.links.get(wanted["name"])
        if existing:
            with contextlib.suppress(BadAddress):
                fixed = parse(listen).port != 0
                if fixed and wanted["upstream"] == existing.upstream and not await self._moves(existing, listen):
                    return existing
            self._collection.remove(existing)
        link = self._collection.link(name=wanted["name"], listen=listen, upstream=wanted["upstream"])
        if wanted.get("enabled", True):
            await start(link)
        self._collection.links[link.name] = link
        return link

    async def reset(self, *, body: bytes) -> Response:  # noqa: ARG002
        for link in tuple(self._collection.links.values()):
            await start(link)
            link.refuse(False)
            for toxic in tuple(link.toxics):
                link.remove_toxic(toxic)
        return Response(_NO_CONTENT)

    async def version(self) -> Response:
        text = b'{"version": "' + VERSION.encode() + b'"}\n'
        return Response(HTTPStatus.OK, text, "application/json;charset=utf-8")


def _views(links: list[Link]) -> list[dict[str, Any]] | None:
    return [proxy_view(link) for link in links] or None
