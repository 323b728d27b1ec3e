"""A Toxiproxy that runs already, in place of the fault proxy of our own."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import ClassVar

from pytest_enterprise.engines.base import Launch, Site
from pytest_enterprise.engines.fault_proxy import FaultProxy
from pytest_enterprise.errors import EngineFailed


@dataclass(frozen=True, kw_only=True)
class Toxiproxy(FaultProxy):
    """The server at ``url``: links become proxies of its, which go when the stack is closed."""

    kind: ClassVar[str] = "toxiproxy"

    def version(self) -> str:
        with urllib.request.urlopen(f"{self.url}/version", timeout=5) as answer:
            return str(json.load(answer)["version"])

    def launch(self, site: Site) -> Launch:
        """Make the proxies; those of the same names that an earlier run left are replaced. Raises EngineFailed."""
        proxies = [
            {
                "name": link.name,
                "listen": str(site.network[site.name][link.name]),
                "upstream": str(link.upstream),
                "enabled": True,
            }
            for link in self.planned
        ]
        request = urllib.request.Request(
            f"http://{site.host['control']}/populate", method="POST", data=json.dumps(proxies).encode()
        )
        try:
            urllib.request.urlopen(request, timeout=5).close()
        except urllib.error.HTTPError as error:
            raise EngineFailed(f"{self.name}: {self.url} does not take the stack's links: {error.read()!r}") from None
        except OSError as error:
            raise EngineFailed(
                f"{self.name}: no Toxiproxy answers at {self.url} ({error}). Start one, or leave "
                f"--enterprise-url={self.name}=... away and use the proxy of our own."
            ) from None
        return Launch(command=(self.url or "",))
