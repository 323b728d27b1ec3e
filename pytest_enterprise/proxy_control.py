"""Control of a running fault proxy: what only ours offers, and a toxiproxy-python client for the rest."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from pytest_enterprise.engines.base import Address
from pytest_enterprise.errors import FaultFailed


class ProxyControl:
    """One fault proxy, by the address of its control port."""

    def __init__(self, address: Address) -> None:
        self.address = address

    def client(self) -> Any:
        """A ``toxiproxy.Toxiproxy`` on this proxy; the class keeps its address for the whole process."""
        from toxiproxy import Toxiproxy

        client = Toxiproxy()
        client.update_api_consumer(self.address.host, self.address.port)
        return client

    def add_toxic(
        self,
        link: str,
        kind: str,
        *,
        stream: str,
        attributes: Mapping[str, Any],
        name: str,
        when: Mapping[str, Any] | None = None,
    ) -> None:
        """Put a toxic on a link; ``stream`` is ``upstream`` (client to server) or ``downstream``.

        Toxiproxy's own interface takes whole milliseconds only; this one fractions too, and conditions (``when``, see
        :class:`pytest_enterprise.proxy.conditions.Conditions`).
        """
        body = {"name": name, "type": kind, "stream": stream, "attributes": dict(attributes), "when": dict(when or {})}
        self._call("POST", f"/enterprise/proxies/{quote(link, safe='')}/toxics", body)

    def remove_toxic(self, link: str, name: str) -> None:
        """Take a toxic off again; one that is gone already is no error."""
        self._call("DELETE", f"/proxies/{quote(link, safe='')}/toxics/{quote(name, safe='')}", missing=True)

    def refuse(self, link: str, on: bool, *, keep: bool = False) -> None:
        """Let a link end its connections (unless ``keep``) and reset what connects, counting both; or let it go on."""
        self._call("POST", f"/enterprise/proxies/{quote(link, safe='')}/refuse", {"refuse": on, "keep": keep})

    def close_connections(self, link: str, how: str) -> None:
        """End the open connections of a link: ``how`` is ``reset`` or ``fin``."""
        self._call("POST", f"/enterprise/proxies/{quote(link, safe='')}/close", {"how": how})

    def counters(self) -> dict[str, Any]:
        """What each link and each toxic did so far."""
        found: dict[str, Any] = self._call("GET", "/enterprise/counters")
        return found

    def _call(self, method: str, path: str, body: Any = None, *, missing: bool = False) -> Any:
        request = urllib.request.Request(
            f"http://{self.address}{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=5) as reply:
                text = reply.read()
        except urllib.error.HTTPError as error:
            if missing and error.code == 404:
                return None
            raise FaultFailed(f"the fault proxy answered {method} {path} with {error.code}: {error.read()!r}") from None
        except OSError as error:
            raise FaultFailed(f"the fault proxy at {self.address} does not answer {method} {path}: {error}") from None
        return json.loads(text) if text else None
