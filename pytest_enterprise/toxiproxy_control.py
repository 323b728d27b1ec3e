"""Control of a running Toxiproxy, as far as that goes: what it cannot do is refused."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from pytest_enterprise.errors import ConfigurationError
from pytest_enterprise.proxy_control import ProxyControl

_TOXICS = frozenset({"latency", "bandwidth", "slow_close", "reset_peer", "slicer", "limit_data"})
_BLACKHOLE = "blackhole"


class ToxiproxyControl(ProxyControl):
    """Uses Toxiproxy's own interface and nothing else. What its toxics did it does not tell."""

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
        if kind == _BLACKHOLE:
            kind, attributes = "timeout", {"timeout": 0}
        if kind not in _TOXICS | {"timeout"}:
            known = ", ".join(sorted(_TOXICS | {_BLACKHOLE}))
            raise self._refused(f"has no toxic {kind!r}; it has {known}")
        if when:
            raise self._refused(f"knows no conditions (when={dict(when)!r})")
        for attribute, value in attributes.items():
            if value != int(value):
                raise self._refused(f"takes whole numbers only, not {attribute}={value!r} (ms for times)")
        body = {"name": name, "type": kind, "stream": stream, "attributes": {k: int(v) for k, v in attributes.items()}}
        self._call("POST", f"/proxies/{quote(link, safe='')}/toxics", body)

    def refuse(self, link: str, on: bool, *, keep: bool = False) -> None:
        if keep:
            raise self._refused("cannot refuse new connections and keep the others")
        self._call("POST", f"/proxies/{quote(link, safe='')}", {"enabled": not on})

    def close_connections(self, link: str, how: str) -> None:  # noqa: ARG002
        """End the open connections of a link in good order, the only way that it has."""
        self.refuse(link, True)
        self.refuse(link, False)

    def counters(self) -> dict[str, Any]:
        return {}

    def _refused(self, what: str) -> ConfigurationError:
        return ConfigurationError(
            f"the Toxiproxy at {self.address} {what}. Leave --enterprise-url=proxy=... away: the proxy of our own can."
        )
