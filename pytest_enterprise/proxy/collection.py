"""The links and tunnels of one program, by name."""

from __future__ import annotations

from pytest_enterprise.proxy.link import Link
from pytest_enterprise.proxy.relay import Reactor
from pytest_enterprise.proxy.tunnel import Tunnel


class Collection:
    """All there is; whoever changes it holds :attr:`Control.lock` of the control interface."""

    def __init__(self, reactor: Reactor) -> None:
        self.reactor = reactor
        self.links: dict[str, Link] = {}
        self.tunnels: dict[str, Tunnel] = {}

    def link(self, *, name: str, listen: str, upstream: str) -> Link:
        """A new link, not yet part of the collection."""
        return Link(self.reactor, name=name, listen=listen, upstream=upstream)

    def remove(self, link: Link) -> None:
        """Stop a link and forget it."""
        link.stop()
        if self.links.get(link.name) is link:
            del self.links[link.name]

    async def open_tunnel(self, *, name: str, listen: str, routes: dict[str, str]) -> Tunnel:
        """Add a tunnel entry, or give one new routes; its listener moves only when ``listen`` differs.

        Raises BadAddress, BindFailed; then nothing is changed.
        """
        tunnel = self.tunnels.get(name)
        if tunnel and listen in ("", tunnel.asked, tunnel.listen):
            tunnel.routes = routes
            return tunnel
        opened = Tunnel(self.reactor, self.links, name=name, listen=listen, routes=routes)
        await opened.start()
        if tunnel:
            tunnel.stop()
        self.tunnels[name] = opened
        return opened

    def close(self) -> None:
        """Stop everything."""
        for tunnel in self.tunnels.values():
            tunnel.stop()
        for link in self.links.values():
            link.stop()
