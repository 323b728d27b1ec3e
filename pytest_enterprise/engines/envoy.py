"""Envoy: the gateway, which balances, checks health, ejects, retries."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from pytest_enterprise.discovery import xds
from pytest_enterprise.engines import probe, version
from pytest_enterprise.engines.base import Address, Engine, Launch, Site
from pytest_enterprise.errors import ConfigurationError

_HCM = "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
_ROUTER = "envoy.extensions.filters.http.router.v3.Router"


@dataclass(frozen=True, kw_only=True)
class Envoy(Engine):
    """Envoy before the services it links to.

    With a link to an engine of kind ``discovery``, named by ``discovery``, it learns their instances while it runs;
    else it knows those of the stack.
    """

    kind: ClassVar[str] = "envoy"
    default_image: ClassVar[str] = "envoyproxy/envoy:distroless-v1.36-latest"
    obtain: ClassVar[str] = "pip install 'pytest-enterprise[gateway]'"

    routes: Mapping[str, str] = field(default_factory=dict, hash=False)
    """Path prefix to the engine behind it; none given: everything goes to the one service that it links to."""
    discovery: str = ""
    """The engine that tells it where the services are."""
    ready_path: str = "/ready"
    """The path of the services that health checks ask."""

    @property
    def ports(self) -> Mapping[str, int]:
        return {"http": 8080, "admin": 9901}

    def locate(self, program: str) -> Path | None:
        try:
            import envoy
        except ImportError:
            return super().locate(program)
        bundled = Path(envoy.__file__).parent / "_bin" / program
        return bundled if bundled.exists() else super().locate(program)

    def version(self) -> str:
        return version.of_program(self.locate("envoy"))

    def _routes(self, site: Site) -> dict[str, str]:
        services = [server for server in site.links if server != self.discovery]
        if self.routes:
            for service in self.routes.values():
                site.link(service)
            return dict(self.routes)
        if len(services) != 1:
            raise ConfigurationError(
                f"{self.name}: it links to {', '.join(services) or 'no service'}; say which path goes where with "
                "routes={'/': 'SERVICE', ...}"
            )
        return {"/": services[0]}

    def launch(self, site: Site) -> Launch:
        routes = self._routes(site)
        document = self._dynamic(site) if self.discovery else self._static(site, routes)
        document["node"] = {
            "id": site.name,
            "cluster": self.name,
            "metadata": {"routes": routes, "ready_path": self.ready_path},
        }
        document["admin"] = {"address": _socket(Address(site.bind, site.listen["admin"]))}
        (site.config / "envoy.json").write_text(json.dumps(document, indent=1), encoding="utf-8")
        return Launch(
            command=(
                *("envoy", "--config-path", f"{site.config_inside}/envoy.json"),
                *("--disable-hot-restart", "--concurrency", "1", "--log-level", "warning"),
                *("--drain-time-s", "1", "--parent-shutdown-time-s", "2"),
            ),
            stop_timeout=3,
        )

    def _dynamic(self, site: Site) -> dict[str, Any]:
        upstream = xds.assignment(xds.SOURCE, [str(site.link(self.discovery))])
        del upstream["@type"]
        return {
            "dynamic_resources": {"cds_config": xds.source()},
            "static_resources": {
                "listeners": [
                    self._listener(site, {"rds": {"route_config_name": xds.ROUTES, "config_source": xds.source()}})
                ],
                "clusters": [
                    {
                        "name": xds.SOURCE,
                        "type": "STATIC",
                        "connect_timeout": "0.5s",
                        "load_assignment": upstream,
                    }
                ],
            },
        }

    def _static(self, site: Site, routes: Mapping[str, str]) -> dict[str, Any]:
        clusters = []
        for service in sorted(set(routes.values())):
            cluster = xds.cluster(service, ready_path=self.ready_path)
            upstream = xds.assignment(service, [str(address) for address in site.links[service]])
            del cluster["@type"], upstream["@type"]
            clusters.append({**cluster, "type": "STATIC", "load_assignment": upstream})
        table = xds.routes(routes)
        del table["@type"]
        return {
            "static_resources": {"listeners": [self._listener(site, {"route_config": table})], "clusters": clusters}
        }

    def _listener(self, site: Site, routes: Mapping[str, Any]) -> dict[str, Any]:
        manager = {
            "@type": f"type.googleapis.com/{_HCM}",
            "stat_prefix": "users",
            **routes,
            "http_filters": [
                {"name": "router", "typed_config": {"@type": f"type.googleapis.com/{_ROUTER}"}},
            ],
        }
        return {
            "name": "users",
            "address": _socket(Address(site.bind, site.listen["http"])),
            "filter_chains": [{"filters": [{"name": "http", "typed_config": manager}]}],
        }

    async def ready(self, site: Site) -> str | None:
        return await probe.http(site.host["admin"], "/ready")


def _socket(address: Address) -> dict[str, Any]:
    return {"socket_address": {"address": address.host, "port_value": address.port}}
