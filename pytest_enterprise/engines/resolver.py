"""The resolver of a stack whose engines dial by name, and what such an engine must see to ask it."""

from __future__ import annotations

import functools
import importlib.util
import json
import random
import socket
import sys
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

from pytest_enterprise.engines import probe
from pytest_enterprise.engines.base import Address, Engine, Launch, Site
from pytest_enterprise.errors import FaultFailed

DOMAIN = "test"
"""Reserved for tests (RFC 6761): no name of it exists anywhere else."""
CLIENTS = 64
"""How many engines one resolver can tell apart on loopback."""
_PORT = 53
_TAKEN = 98


def name_of(instance: str) -> str:
    """The name under which an instance is dialled."""
    return f"{instance}.{DOMAIN}"


def _bind(address: str) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as tried:
        tried.bind((address, _PORT))


@functools.cache
def why_not(runtime: str) -> str | None:
    """Why no engine can dial by name here, and the way out; None when it can."""
    if importlib.util.find_spec("dns") is None:
        return "names need dnspython: pip install 'pytest-enterprise[dns]'"
    if runtime == "process":
        try:
            free_block()
        except OSError as error:
            return (
                f"names need port {_PORT} on loopback ({error.strerror}): run the tests as root, "
                "or sysctl net.ipv4.ip_unprivileged_port_start=53"
            )
    return None


def free_block() -> str:
    """The first three numbers of loopback addresses on which nobody resolves names. Raises OSError."""
    blocks = random.SystemRandom().sample(range(1, 255), 20)
    for number in blocks:
        try:
            _bind(f"127.53.{number}.1")
        except OSError as error:
            if error.errno != _TAKEN or number == blocks[-1]:
                raise
        else:
            return f"127.53.{number}"
    raise AssertionError("unreachable: the last one returned or raised")


def dials_by_name(launch: Launch, site: Site, nameserver: str) -> Launch:
    """The launch of an engine that asks ``nameserver``, and nobody else, for names."""
    texts = {
        "resolv.conf": f"nameserver {nameserver}\noptions timeout:1 attempts:2\n",
        "nsswitch.conf": "hosts: files dns\n",
    }
    for name, text in texts.items():
        (site.config / name).write_text(text, encoding="ascii")
    over = {f"/etc/{name}": site.config / name for name in texts}
    return replace(launch, over={**launch.over, **over})


@dataclass(frozen=True, kw_only=True)
class Resolver(Engine):
    """Knows the names of the stack's instances and no others."""

    kind: ClassVar[str] = "resolver"
    obtain: ClassVar[str] = "pip install 'pytest-enterprise[dns]'"

    block: str = ""
    """The first three numbers of its addresses on loopback, one for each client; empty in a container."""

    @property
    def ports(self) -> Mapping[str, int]:
        return {"control": 8053}

    def locate(self, program: str) -> Path | None:
        return Path(program) if Path(program).is_absolute() else super().locate(program)

    def launch(self, site: Site) -> Launch:
        self.relink(site)
        listen = ",".join(f"{self.block}.{number + 1}" for number in range(CLIENTS)) if self.block else site.bind
        return Launch(
            command=(
                *(sys.executable if site.runtime == "process" else "python3", "-m", "pytest_enterprise.resolver"),
                *("--listen", listen, "--control", f"{site.bind}:{site.listen['control']}"),
                *("--names", f"{site.config_inside}/names.json"),
            ),
            stop_timeout=2,
        )

    def relink(self, site: Site) -> None:
        """Write which address each name has: the proxy's where links go through it."""
        table = {name_of(name): next(iter(ports.values())).host for name, ports in site.network.items() if ports}
        table |= {name_of(server): address.host for (_, server), address in site.routes.items()}
        partial = site.config / "names.json.part"
        partial.write_text(json.dumps(table, indent=1), encoding="utf-8")
        partial.replace(site.config / "names.json")

    async def ready(self, site: Site) -> str | None:
        return await probe.http(site.host["control"], "/")

    @staticmethod
    def call(control: Address, method: str, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """One request to the running program. Raises FaultFailed."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"http://{control}{path}", method=method, data=data)
        try:
            with urllib.request.urlopen(request, timeout=5) as answer:
                found: dict[str, Any] = json.load(answer)
                return found
        except (OSError, ValueError) as error:
            raise FaultFailed(f"the resolver at {control} does not take {method} {path}: {error}") from None
