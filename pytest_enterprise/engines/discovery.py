"""Discovery: our own program between the registry and the gateways."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from pytest_enterprise.engines import probe
from pytest_enterprise.engines.base import Engine, Launch, Site


@dataclass(frozen=True, kw_only=True)
class Discovery(Engine):
    """Tells the gateways that link to it which instances of a service are registered in ``registry``, and where."""

    kind: ClassVar[str] = "discovery"
    obtain: ClassVar[str] = "pip install 'pytest-enterprise[proxy,registry]'"

    registry: str = "etcd"
    """The engine that it follows; the stack needs a link to it."""

    @property
    def ports(self) -> Mapping[str, int]:
        return {"http": 8500}

    def locate(self, program: str) -> Path | None:
        return Path(program) if Path(program).is_absolute() else super().locate(program)

    def version(self) -> str:
        from pytest_enterprise import __version__

        return __version__

    def launch(self, site: Site) -> Launch:
        site.link(self.registry)
        self.relink(site)
        return Launch(
            command=(
                *(sys.executable if site.runtime == "process" else "python3", "-m", "pytest_enterprise.discovery"),
                f"--listen={site.bind}:{site.listen['http']}",
                f"--registry={','.join(map(str, site.links[self.registry]))}",
                f"--links={site.config_inside}/links.json",
            ),
            stop_timeout=2,
        )

    def relink(self, site: Site) -> None:
        """Write which address each gateway must dial for each instance."""
        document: dict[str, dict[str, str]] = {}
        for (client, server), address in site.routes.items():
            document.setdefault(client, {})[server] = str(address)
        partial = site.config / "links.json.part"
        partial.write_text(json.dumps(document, indent=1), encoding="utf-8")
        partial.replace(site.config / "links.json")

    async def ready(self, site: Site) -> str | None:
        return await probe.http(site.host["http"], "/ready")
