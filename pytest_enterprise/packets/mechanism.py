"""How packets are disturbed in the network namespace of this process: by netem where the kernel has it, else by us.

``drop`` in a chain for what is sent would be no loss: the kernel tells the sender, whose system call fails and whose
TCP holds back. So what is to be lost is chosen by nftables and routed into a device that leads nowhere.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from pathlib import Path
from random import Random

from pytest_enterprise.packets.disturbance import Counters, Disturbance
from pytest_enterprise.packets.forwarder import DEVICE, Forwarder
from pytest_enterprise.packets.tools import ToolFailed, run

TABLE = "pytest_enterprise"
_SENT_ON, _LOST, _DIVERTED = 0x7E57_0000, 0x7E57_0001, 0x7E57_0002
"""Marks of packets; the last digits are those of the routing tables as well."""
_TABLE_OF = {_LOST: 7501, _DIVERTED: 7502}
_HOLE, _PIT = "pe-hole", "pe-pit"
_PARTS = 1_000_000
_QUEUE = 100_000
"""Packets that may be held back at once."""


def devices() -> dict[str, int]:
    """The network devices of this namespace but the loopback, with the bytes that fit into a packet of each."""
    shown = json.loads(run("ip", "-json", "link", "show", "up"))
    return {device["ifname"]: device["mtu"] for device in shown if "LOOPBACK" not in device.get("flags", "LOOPBACK")}


class Mechanism(ABC):
    """One disturbance, from its making until ``undo``."""

    name: str
    forwarder: Forwarder | None = None
    """What must be served by the owner's loop."""

    @abstractmethod
    def undo(self) -> Counters:
        """Disturb no more, and tell what was done."""


class Rules(Mechanism):
    """nftables chooses what is lost; the rest goes through the forwarder."""

    name = "nftables"

    def __init__(self, how: Disturbance, random: Random) -> None:
        mtu = min(devices().values(), default=1500)
        self.forwarder = None if how.only_loses else Forwarder(how, random, _SENT_ON)
        try:
            run("ip", "-batch", "-", text="\n".join(links_and_routes(how, mtu)))
            _ipv4_only((_HOLE, _PIT, DEVICE))
            run("nft", "-f", "-", text=ruleset(how))
        except BaseException:
            self._remove()
            raise

    def undo(self) -> Counters:
        counters = Counters(**_counted(f"ip {TABLE}"))
        self._remove()
        if self.forwarder:
            counters.add(self.forwarder.counters)
        return counters

    def _remove(self) -> None:
        _forget("nft", "delete", "table", "ip", TABLE)
        if self.forwarder:
            self.forwarder.close()
        for table in _TABLE_OF.values():
            _forget("ip", "rule", "delete", "priority", str(table))
        _forget("ip", "link", "delete", _HOLE)


class Netem(Mechanism):
    """The kernel's own emulator, on every device. How many packets were overtaken it does not tell."""

    name = "netem"

    def __init__(self, how: Disturbance) -> None:
        self._how = how
        self._devices = list(devices())
        self._before = Counters()
        try:
            run("nft", "-f", "-", text=before_the_queue(self._devices))
            for device in self._devices:
                run("tc", "qdisc", "add", "dev", device, "root", "netem", *netem(how))
        except BaseException:
            self._remove()
            raise

    def undo(self) -> Counters:
        shown = [run("tc", "-s", "-json", "qdisc", "show", "dev", device, "root") for device in self._devices]
        seen = _counted(f"netdev {TABLE}").get("seen", 0)
        self._remove()
        return netem_counters(self._how, [json.loads(text) for text in shown], seen)

    def _remove(self) -> None:
        for device in self._devices:
            _forget("tc", "qdisc", "delete", "dev", device, "root")
        _forget("nft", "delete", "table", "netdev", TABLE)


def begin(how: Disturbance, random: Random) -> Mechanism:
    """Disturb what is sent from this namespace from now on. Raises ToolFailed, OSError."""
    try:
        return Netem(how)
    except ToolFailed:  # no netem in this kernel, or none of the counters that tell what it did
        return Rules(how, random)


def ruleset(how: Disturbance) -> str:
    """What nftables is told."""
    lose = f'numgen random mod {_PARTS} < {round(how.loss * _PARTS)} counter name "lost" meta mark set {_LOST} accept'
    return f"""
table ip {TABLE} {{
  counter seen {{ }}
  counter lost {{ }}
  chain sent {{
    type route hook output priority mangle; policy accept;
    oifname "lo" accept
    meta mark {_SENT_ON} accept
    counter name "seen"
    {lose if how.loss else ""}
    {"" if how.only_loses else f"meta mark set {_DIVERTED}"}
  }}
}}
"""


def links_and_routes(how: Disturbance, mtu: int) -> list[str]:
    """What ``ip`` is told."""
    lines = []
    if how.loss:
        lines += [
            f"link add {_HOLE} type veth peer name {_PIT}",
            f"link set {_PIT} up arp off addrgenmode none",
            f"link set {_HOLE} up arp off addrgenmode none mtu {mtu}",
            *_route(_LOST, _HOLE),
        ]
    if not how.only_loses:
        lines += [f"link set {DEVICE} up mtu {mtu} txqueuelen {_QUEUE} addrgenmode none", *_route(_DIVERTED, DEVICE)]
    return lines


def _route(mark: int, device: str) -> list[str]:
    table = _TABLE_OF[mark]
    return [
        f"route add default dev {device} table {table}",
        f"rule add fwmark {mark} table {table} priority {table}",
    ]


def netem(how: Disturbance) -> list[str]:
    """The words after ``netem``."""
    words = ["limit", str(_QUEUE)]
    if how.delay:
        words += ["delay", f"{how.delay * 1e6:.0f}us"]
        words += [f"{how.jitter * 1e6:.0f}us"] if how.jitter else []
        words += ["reorder", f"{how.reorder * 100:.4f}%"] if how.reorder else []
    if how.loss:
        words += ["loss", f"{how.loss * 100:.4f}%"]
    if how.duplicate:
        words += ["duplicate", f"{how.duplicate * 100:.4f}%"]
    return words


def before_the_queue(names: list[str]) -> str:
    """A ruleset that counts what comes to netem, and nothing else."""
    chains = "\n".join(
        f'chain sent_{number} {{ type filter hook egress device "{name}" priority 0; counter name "seen"; }}'
        for number, name in enumerate(names)
    )
    return f"table netdev {TABLE} {{\ncounter seen {{ }}\n{chains}\n}}\n"


def netem_counters(how: Disturbance, shown: list[list[dict[str, int]]], seen: int) -> Counters:
    """What netem did, from what ``tc -s`` shows and what came to it."""
    sent = sum(qdisc["packets"] for qdiscs in shown for qdisc in qdiscs)
    lost = sum(qdisc["drops"] for qdiscs in shown for qdisc in qdiscs)
    waiting = sum(qdisc.get("qlen", 0) for qdiscs in shown for qdisc in qdiscs)
    return Counters(
        seen=seen,
        lost=lost,
        delayed=sent if how.delay else 0,
        duplicated=max(0, sent + waiting + lost - seen) if how.duplicate else 0,
    )


def _counted(table: str) -> dict[str, int]:
    family, name = table.split()
    shown = json.loads(run("nft", "-json", "list", "counters", "table", family, name))
    counters = [entry["counter"] for entry in shown["nftables"] if "counter" in entry]
    return {counter["name"]: counter["packets"] for counter in counters}


def _forget(program: str, *arguments: str) -> None:
    """Remove something that may not be there."""
    try:
        run(program, *arguments)
    except ToolFailed:
        pass


def _ipv4_only(names: tuple[str, ...]) -> None:
    """Our own devices must send nothing of themselves."""
    for name in names:
        switch = Path(f"/proc/sys/net/ipv6/conf/{name}/disable_ipv6")
        if switch.exists():
            switch.write_text("1")
