"""Takes packets that the kernel routes into a TUN device, and sends them on late, twice or out of order.

What it sends carries a mark, by which rules and routes leave it alone. When this process ends, so does the device, and
with it the route into it: packets then go their ordinary way.
"""

from __future__ import annotations

import fcntl
import heapq
import os
import socket
import struct
from random import Random
from time import monotonic

from pytest_enterprise.packets.disturbance import Counters, Disturbance

DEVICE = "pe-tun"
_TUNSETIFF = 0x400454CA
_IFF_TUN = 0x0001
_IFF_NO_PI = 0x1000
_IPV4 = 4
_LARGEST = 65_535
_AT_ONCE = 64
"""Packets read before what is due is looked at again."""
_BUFFER = 8 << 20


class Forwarder:
    """The device and what is held back. Made inside the network namespace that it serves."""

    def __init__(self, disturbance: Disturbance, random: Random, mark: int) -> None:
        self.counters = Counters()
        self._how = disturbance
        self._random = random
        self._held: list[tuple[float, int, bytes]] = []
        """When each packet is due, which one it is in the order of arrival, and itself."""
        self._arrived = 0
        self._tun = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            fcntl.ioctl(self._tun, _TUNSETIFF, struct.pack("16sH22x", DEVICE.encode(), _IFF_TUN | _IFF_NO_PI))
            self._out = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
        except BaseException:
            os.close(self._tun)
            raise
        self._out.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, mark)
        self._out.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        self._out.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _BUFFER)

    def fileno(self) -> int:
        return self._tun

    def receive(self) -> bool:
        """Take what came; False when there is no more for now."""
        for _ in range(_AT_ONCE):
            try:
                packet = os.read(self._tun, _LARGEST)
            except BlockingIOError:
                return False
            if packet[0] >> 4 == _IPV4:
                self._take(packet)
        return True

    def _take(self, packet: bytes) -> None:
        how, random = self._how, self._random
        self._arrived += 1
        wait = 0.0
        if how.delay and not (how.reorder and random.random() < how.reorder):
            wait = how.delay + (random.uniform(-how.jitter, how.jitter) if how.jitter else 0.0)
            self.counters.delayed += 1
        copies = 1
        if how.duplicate and random.random() < how.duplicate:
            copies = 2
            self.counters.duplicated += 1
        for _ in range(copies):
            if wait > 0:
                heapq.heappush(self._held, (monotonic() + wait, self._arrived, packet))
            else:
                self._send(self._arrived, packet)

    def _send(self, number: int, packet: bytes) -> None:
        if self._held and self._held[0][1] < number:
            self.counters.reordered += 1
        try:
            self._out.sendto(packet, (socket.inet_ntoa(packet[16:20]), 0))
        except OSError:
            # As on any wire: no route any more, or no room.
            self.counters.lost += 1

    def wait(self) -> float | None:
        """Seconds until the next packet is due; None when none is held back."""
        return max(0.0, self._held[0][0] - monotonic()) if self._held else None

    def send_due(self) -> None:
        now = monotonic()
        while self._held and self._held[0][0] <= now:
            _, number, packet = heapq.heappop(self._held)
            self._send(number, packet)

    def close(self) -> None:
        """Send on everything that is held back, and remove the device."""
        while self.receive():
            pass
        while self._held:
            _, number, packet = heapq.heappop(self._held)
            self._send(number, packet)
        self._out.close()
        os.close(self._tun)
