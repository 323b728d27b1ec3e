"""The gateway: which endpoints it routes to, and what it counted."""

from __future__ import annotations

import json
import time
import urllib.request
from typing import TYPE_CHECKING, Any

from pytest_enterprise.discovery.xds import SOURCE
from pytest_enterprise.errors import EnterpriseError

if TYPE_CHECKING:
    from pytest_enterprise.live import LiveStack

_ILL = ("failed_active_health_check", "failed_outlier_check", "pending_active_hc")


class Gateway:
    """Envoy, by its admin interface."""

    def __init__(self, stack: LiveStack, engine: str) -> None:
        self._stack = stack
        self.engine = engine

    @property
    def url(self) -> str:
        """Where users reach it: through the link from ``load``."""
        return self._stack.url(self.engine)

    def _admin(self, path: str) -> bytes:
        with urllib.request.urlopen(self._stack.url(self.engine, path, port="admin"), timeout=2) as reply:
            text: bytes = reply.read()
        return text

    def _hosts(self) -> dict[str, dict[str, Any]]:
        """What it tells of each address that it knows."""
        known: dict[str, Any] = json.loads(self._admin("/clusters?format=json"))
        found = {}
        for cluster in known.get("cluster_statuses", []):
            if cluster["name"] == SOURCE:
                continue
            for host in cluster.get("host_statuses", []):
                address = host["address"]["socket_address"]
                found[f"{address['address']}:{address['port_value']}"] = host
        return found

    def endpoints(self) -> dict[str, bool]:
        """The addresses that it knows, and whether each is healthy in its eyes."""
        health = {address: host.get("health_status", {}) for address, host in self._hosts().items()}
        return {address: not any(found.get(flag) for flag in _ILL) for address, found in health.items()}

    def requests(self) -> dict[str, int]:
        """How many requests it has sent to each address that it knows, tries again and all."""
        counted = {address: host.get("stats", []) for address, host in self._hosts().items()}
        return {
            address: sum(int(one.get("value", 0)) for one in statistics if one["name"] == "rq_total")
            for address, statistics in counted.items()
        }

    def statistics(self, filter: str = "") -> dict[str, int]:
        """Envoy's counters and gauges whose names hold ``filter``."""
        text = self._admin(f"/stats?filter={filter}").decode()
        pairs = (line.partition(": ")[::2] for line in text.splitlines())
        return {name: int(value) for name, value in pairs if value.isdigit()}

    def wait_for(self, healthy: int, *, timeout: float = 15.0) -> float:
        """Wait until this many endpoints are healthy; returns the seconds it took."""
        began = time.monotonic()
        while True:
            endpoints = self.endpoints()
            if sum(endpoints.values()) == healthy:
                return time.monotonic() - began
            if time.monotonic() - began > timeout:
                raise EnterpriseError(
                    f"{self.engine} has {sum(endpoints.values())} healthy endpoints, not {healthy}, "
                    f"after {timeout:g} s: {endpoints}"
                )
            time.sleep(0.02)
