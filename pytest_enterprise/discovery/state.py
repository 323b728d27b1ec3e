"""What discovery knows (registrations, switches, links), and what that means for each gateway."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pytest_enterprise.discovery import follower, xds

_POLL = 0.05
"""Seconds between looks at the file of links."""


class State:
    """Changes wake whoever waits for a newer answer."""

    def __init__(self, links: Path | None = None) -> None:
        self._file = links
        self._links: Mapping[str, Mapping[str, str]] = {}
        self._services: Mapping[str, Mapping[str, str]] = {}
        self._switches: frozenset[str] = frozenset()
        self._changed = asyncio.Condition()
        self._notifying: set[asyncio.Task[None]] = set()
        self.known = False
        """Whether the registry was read at all."""
        self.changes = 0

    def take(self, services: follower.Found, switches: follower.Found) -> None:
        """New registrations and switches. With the sabotage ``discovery_stale`` the registrations stay as they were."""
        self._switches = frozenset(switches)
        if "discovery_stale" not in self._switches:
            self._services = follower.addresses(services)
        self.known = True
        self._note()

    async def follow_links(self) -> None:
        """Reread the file of links whenever it was replaced: gateway to instance to the address to dial."""
        seen = None
        while self._file:
            with contextlib.suppress(OSError, ValueError):
                status = self._file.stat()
                if (status.st_mtime_ns, status.st_ino) != seen:
                    self._links = json.loads(self._file.read_text(encoding="utf-8"))
                    seen = (status.st_mtime_ns, status.st_ino)
                    self._note()
            await asyncio.sleep(_POLL)

    def _note(self) -> None:
        self.changes += 1
        task = asyncio.ensure_future(self._notify())
        self._notifying.add(task)
        task.add_done_callback(self._notifying.discard)

    async def _notify(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    def endpoints(self, gateway: str, service: str) -> list[str]:
        """Where this gateway finds a service: its links to the registered instances, else their own addresses."""
        links = self._links.get(gateway, {})
        return sorted(links.get(instance, address) for instance, address in self._services.get(service, {}).items())

    def resources(self, kind: str, node: Mapping[str, Any], names: list[str]) -> list[xds.Resource]:
        """What a gateway asks for. Its metadata says ``routes`` (prefix to service) and ``ready_path``."""
        metadata = node.get("metadata", {})
        prefixes: Mapping[str, str] = metadata.get("routes", {})
        services = sorted(set(prefixes.values()))
        if kind == "routes":
            return [xds.routes(prefixes, retries="retries_off" not in self._switches)]
        if kind == "clusters":
            checked = "health_checks_off" not in self._switches
            made = [
                xds.cluster(service, ready_path=metadata.get("ready_path", "/"), health_checks=checked)
                for service in services
            ]
            return [{**one, "type": "EDS", "eds_cluster_config": {"eds_config": xds.source()}} for one in made]
        return [
            xds.assignment(service, self.endpoints(str(node.get("id", "")), service))
            for service in services
            if not names or service in names
        ]

    async def answer(self, kind: str, request: Mapping[str, Any], *, patience: float) -> dict[str, Any]:
        """A DiscoveryResponse, at once when it is news to the asker, else when it becomes so or ``patience`` ends."""

        def respond() -> dict[str, Any]:
            found = self.resources(kind, request.get("node", {}), list(request.get("resource_names", ())))
            version = hashlib.sha256(json.dumps(found, sort_keys=True).encode()).hexdigest()[:16]
            return {"version_info": version, "type_url": xds.TYPES[kind], "resources": found}

        def news() -> bool:
            return self.known and respond()["version_info"] != request.get("version_info", "")

        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(patience), self._changed:
                await self._changed.wait_for(news)
        return respond()
