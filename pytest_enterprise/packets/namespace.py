"""Network namespaces: made, entered, and joined to the one that everybody else is in."""

from __future__ import annotations

import contextlib
import ctypes
import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from pytest_enterprise.packets.tools import run

_CLONE_NEWNET = 0x4000_0000
_FIRST = 198 << 24 | 18 << 16
"""198.18.0.0/15 is for tests of networks (RFC 2544): nobody routes it."""
BLOCKS = 1 << 15
"""How many pairs of addresses that range has."""
INSIDE = "eth0"
PREFIX = "pe-"
"""How the names of devices begin that stand in everybody's namespace."""


class Block(NamedTuple):
    """Two addresses: of everybody else's end of a wire, and of the instance's."""

    number: int

    def _address(self, number: int) -> str:
        return ".".join(map(str, (_FIRST + 4 * self.number + number).to_bytes(4, "big")))

    @property
    def outside(self) -> str:
        return self._address(1)

    @property
    def inside(self) -> str:
        return self._address(2)

    @property
    def device(self) -> str:
        """The name of everybody else's end."""
        return f"{PREFIX}{self.number}"


def _call(function: str, *arguments: int) -> None:
    if getattr(ctypes.CDLL(None, use_errno=True), function)(*arguments):
        code = ctypes.get_errno()
        raise OSError(code, f"{function}: {os.strerror(code)}")


def current() -> int:
    """A descriptor of the namespace that this process is in."""
    return os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)


def enter(descriptor: int) -> None:
    """Be in that namespace from now on. Sockets that are open stay where they were made."""
    _call("setns", descriptor, _CLONE_NEWNET)


@contextlib.contextmanager
def within(descriptor: int) -> Iterator[None]:
    """Be in that namespace for a while."""
    before = current()
    enter(descriptor)
    try:
        yield
    finally:
        enter(before)
        os.close(before)


def make_alone() -> None:
    """Enter a namespace of our own with a wire that stays inside it."""
    _call("unshare", _CLONE_NEWNET)
    run("ip", "-batch", "-", text=f"link add {INSIDE} type veth peer name {PREFIX}0\nlink set {INSIDE} up\n")


def make(block: Block, alias: str) -> None:
    """Enter a namespace of our own, wired to the one that we were in; both ends go when its last process ends."""
    outside = current()
    _call("unshare", _CLONE_NEWNET)
    for name in ("all", "default"):
        switch = Path(f"/proc/sys/net/ipv6/conf/{name}/disable_ipv6")
        if switch.exists():
            switch.write_text("1")
    # No route beyond: a program that asks for names, say, must hear at once that there is no way to whom it asks.
    # And one packet is one packet, not the many that a network card would be left to cut.
    wire = f"link add {INSIDE} gso_max_segs 1 type veth peer name {block.device} netns {os.getppid()}"
    run(
        *("ip", "-batch", "-"),
        text=f"{wire}\nlink set lo up\naddress add {block.inside}/30 dev {INSIDE}\nlink set {INSIDE} up\n",
    )
    with within(outside):
        run("ip", "link", "set", block.device, "alias", alias)
        run("ip", "address", "add", f"{block.outside}/30", "dev", block.device)
        run("ip", "link", "set", block.device, "addrgenmode", "none", "up")
    os.close(outside)
