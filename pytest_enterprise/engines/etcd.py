"""etcd: the registry, as one node or a cluster of three."""

from __future__ import annotations

import asyncio
import contextlib
import json
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from pytest_enterprise.engines import probe, version
from pytest_enterprise.engines.base import Address, Engine, Launch, Site

_PEER = 2380


@dataclass(frozen=True, kw_only=True)
class Etcd(Engine):
    """An etcd cluster of ``replicas`` members.

    With links to itself its peers speak TLS (certificates of their own making), because Go's HTTP client sends CONNECT
    to a proxy for https only: each member has a proxy variable of its own, so the fault proxy knows who dials whom.
    """

    kind: ClassVar[str] = "etcd"
    default_image: ClassVar[str] = "quay.io/coreos/etcd:v3.5.21"
    obtain: ClassVar[str] = "python -m pytest_enterprise.engines.obtain, or put etcd on PATH"
    asks_kernel: ClassVar[bool] = True

    @property
    def ports(self) -> Mapping[str, int]:
        return {"client": 2379, "peer": _PEER}

    @property
    def published(self) -> frozenset[str]:
        return frozenset({"client"})

    def version(self) -> str:
        return version.of_program(self.locate("etcd"))

    def tunnel_target(self, instance: str) -> str | None:
        """A documentation address (RFC 5737): Go never asks a proxy for loopback ones, and nothing dials this one."""
        return f"192.0.2.{self.instances.index(instance) + 1}:{_PEER}" if instance in self.instances else None

    def _peer_url(self, site: Site, instance: str) -> str:
        if site.tunnel:
            return f"https://{self.tunnel_target(instance)}"
        return f"http://{site.network[instance]['peer']}"

    def launch(self, site: Site) -> Launch:
        scheme = "https" if site.tunnel else "http"
        members = ",".join(f"{name}={self._peer_url(site, name)}" for name in site.siblings)
        single = len(site.siblings) == 1
        command = [
            "etcd",
            f"--name={site.name}",
            f"--data-dir={site.data_inside}/etcd",
            f"--listen-client-urls=http://{site.bind}:{site.listen['client']}",
            f"--advertise-client-urls=http://{site.network[site.name]['client']}",
            f"--listen-peer-urls={scheme}://{site.bind}:{site.listen['peer']}",
            f"--initial-advertise-peer-urls={self._peer_url(site, site.name)}",
            f"--initial-cluster={members}",
            "--initial-cluster-token=pytest-enterprise",
            # A lone member elects itself after one election time-out; several must not do so on a busy machine.
            f"--heartbeat-interval={10 if single else 100}",
            f"--election-timeout={50 if single else 800}",
            "--logger=zap",
            "--log-level=warn",
        ]
        if site.tunnel:
            command.append("--peer-auto-tls")
        proxy = f"http://{site.tunnel}" if site.tunnel else ""
        # Its JSON interface dials its own client port, which in a container is one on 0.0.0.0.
        names = {"HTTPS_PROXY": proxy, "HTTP_PROXY": "", "NO_PROXY": site.bind}
        return Launch(command=command, env={**names, "https_proxy": proxy, "no_proxy": site.bind})

    async def leader(self, sites: Sequence[Site]) -> str | None:
        for site in sites:
            with contextlib.suppress(OSError, ValueError, KeyError):
                status = await asyncio.to_thread(_status, site.host["client"])
                if status.get("leader", "0") != "0" and status["leader"] == status["header"]["member_id"]:
                    return site.name
        return None

    async def ready(self, site: Site) -> str | None:
        return await probe.http(site.host["client"], "/health", holding=b"true")


def _status(address: Address) -> dict[str, Any]:
    request = urllib.request.Request(f"http://{address}/v3/maintenance/status", data=b"{}", method="POST")
    with urllib.request.urlopen(request, timeout=1) as reply:
        answer: dict[str, Any] = json.load(reply)
    return answer
