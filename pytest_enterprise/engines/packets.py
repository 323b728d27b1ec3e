"""The network of one instance, as a program that the stack starts before the instance."""

from __future__ import annotations

import asyncio
import functools
import os
import random
import socket
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

from pytest_enterprise.engines import control_socket
from pytest_enterprise.engines.base import Engine, Launch, Site
from pytest_enterprise.errors import EngineFailed, FaultFailed
from pytest_enterprise.packets import tools
from pytest_enterprise.packets.namespace import BLOCKS, Block


@functools.cache
def why_not() -> str | None:
    """Why no packets can be lost here, and the way out; None when they can."""
    if os.geteuid():
        return "packets can be lost and delayed by root only: run the tests as root"
    if lacking := tools.missing():
        return f"packets need the programs ip, tc and nft: apt-get install {' '.join(lacking)}"
    if not Path("/dev/net/tun").exists():
        return "packets need TUN devices, and this machine has no /dev/net/tun: modprobe tun"
    tried = subprocess.run(
        (sys.executable, "-m", "pytest_enterprise.packets", "--attempt"), capture_output=True, text=True, check=False
    )
    if tried.returncode:
        said = (tried.stdout + tried.stderr).strip().splitlines() or [f"exit code {tried.returncode}"]
        return (
            "packets need network namespaces, veth and TUN devices and nftables, which this machine refuses: "
            f"{said[-1]}. In a container, add CAP_NET_ADMIN and CAP_SYS_ADMIN"
        )
    return None


class Reserved(NamedTuple):
    """A block of addresses that is ours on this machine until its lock is closed, or until this process ends."""

    block: Block
    lock: socket.socket


def reserve() -> Reserved:
    """A block that no other run has and no device of this machine. Raises EngineFailed when there is none."""
    for number in random.SystemRandom().sample(range(BLOCKS), 100):
        block = Block(number)
        lock = socket.socket(socket.AF_UNIX)
        try:
            lock.bind(f"\0pytest-enterprise-block-{number}")
        except OSError:
            lock.close()
            continue
        try:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as tried:
                tried.bind((block.outside, 0))
        except OSError:
            return Reserved(block, lock)
        lock.close()
    raise EngineFailed("no addresses are free in 198.18.0.0/15: `ip address` shows who has them")


@dataclass(frozen=True, kw_only=True)
class PacketPlayer(Engine):
    """Disturbs what one instance sends: in a network namespace of its making, or in that of a container."""

    kind: ClassVar[str] = "packets"

    known_as: str
    """The name of its control socket, and of its device in everybody's namespace."""
    block: Block | None = None
    """The addresses of the namespace that it makes; None: it is told which to enter."""

    @property
    def ports(self) -> Mapping[str, int]:
        return {}

    def locate(self, program: str) -> Path | None:
        return Path(program) if Path(program).is_absolute() else super().locate(program)

    def launch(self, site: Site) -> Launch:
        own = (str(self.block.number), self.known_as) if self.block else ()
        return Launch(
            command=(
                *(sys.executable, "-m", "pytest_enterprise.packets"),
                *(self.known_as, f"{site.seed}/{self.name}", *own),
            ),
            stop_timeout=2,
        )

    async def ready(self, site: Site) -> str | None:  # noqa: ARG002
        try:
            await asyncio.to_thread(self.ask, "where")
        except FaultFailed as error:
            return str(error)
        return None

    def ask(self, do: str, **fields: Any) -> dict[str, Any]:
        """One request to the running program. Raises FaultFailed."""
        return control_socket.ask(self.known_as, f"the network of {self.name}", do, **fields)
