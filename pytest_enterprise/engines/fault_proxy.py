"""The fault proxy: one listening port for each link of a stack, and an entry for each member that tunnels."""

from __future__ import annotations

import json
import sys
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from pytest_enterprise.engines import probe
from pytest_enterprise.engines.base import Address, Engine, Launch, Site
from pytest_enterprise.errors import FaultFailed

_FIRST_PORT = 20000


@dataclass(frozen=True, kw_only=True)
class PlannedLink:
    """A link to be opened when the proxy starts."""

    name: str
    upstream: Address
    published: bool
    """Its client is on this machine, not another engine."""
    host: str = ""
    """The address to listen on, where its client reaches no other."""


@dataclass(frozen=True, kw_only=True)
class PlannedTunnel:
    """An HTTP CONNECT entry for one instance."""

    name: str
    routes: Mapping[str, str] = field(hash=False)
    """CONNECT target to link name."""
    host: str = ""
    """As for links."""


@dataclass(frozen=True, kw_only=True)
class FaultProxy(Engine):
    """Our own proxy; made by the stack from its links."""

    kind: ClassVar[str] = "proxy"
    obtain: ClassVar[str] = "pip install 'pytest-enterprise[proxy]'"

    planned: tuple[PlannedLink, ...] = ()
    tunnels: tuple[PlannedTunnel, ...] = ()

    @staticmethod
    def tunnel_port(instance: str) -> str:
        """The port name of an instance's tunnel entry."""
        return f"tunnel {instance}"

    @property
    def ports(self) -> Mapping[str, int]:
        names = [link.name for link in self.planned] + [self.tunnel_port(tunnel.name) for tunnel in self.tunnels]
        return {"control": 8474, **{name: _FIRST_PORT + i for i, name in enumerate(names)}}

    @property
    def published(self) -> frozenset[str]:
        return frozenset({"control", *(link.name for link in self.planned if link.published)})

    def version(self) -> str:
        from pytest_enterprise import __version__

        return __version__

    def locate(self, program: str) -> Path | None:
        return Path(program) if Path(program).is_absolute() else super().locate(program)

    def launch(self, site: Site) -> Launch:
        hosts = {link.name: link.host for link in self.planned if link.host}
        hosts |= {self.tunnel_port(tunnel.name): tunnel.host for tunnel in self.tunnels if tunnel.host}
        listen = {name: f"{hosts.get(name, site.bind)}:{port}" for name, port in site.listen.items()}
        document = {
            "proxies": [
                {"name": link.name, "listen": listen[link.name], "upstream": str(link.upstream)}
                for link in self.planned
            ],
            "tunnels": [
                {"name": t.name, "listen": listen[self.tunnel_port(t.name)], "routes": dict(t.routes)}
                for t in self.tunnels
            ],
        }
        (site.config / "proxy.json").write_text(json.dumps(document, indent=1))
        return Launch(
            command=(
                *(sys.executable if site.runtime == "process" else "python3", "-m", "pytest_enterprise.proxy"),
                *("-host", site.bind, "-port", str(site.listen["control"])),
                *("-config", f"{site.config_inside}/proxy.json", "-seed", str(site.seed)),
            ),
            stop_timeout=2,
        )

    async def ready(self, site: Site) -> str | None:
        return await probe.http(site.host["control"], "/version")

    def open_link(self, control: Address, name: str, listen: Address, upstream: Address) -> None:
        """Add a link while the proxy runs."""
        self._call(control, "POST", "/proxies", {"name": name, "listen": str(listen), "upstream": str(upstream)})

    def close_link(self, control: Address, name: str) -> None:
        """Remove a link while the proxy runs."""
        self._call(control, "DELETE", f"/proxies/{urllib.parse.quote(name, safe='')}", None)

    def _call(self, control: Address, method: str, path: str, body: Any) -> None:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"http://{control}{path}", method=method, data=data)
        try:
            urllib.request.urlopen(request, timeout=5).close()
        except (urllib.error.URLError, OSError) as error:
            raise FaultFailed(f"the fault proxy at {control} does not take {method} {path}: {error}") from None
