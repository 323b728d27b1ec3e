"""Every fault there is: by kind, for schedules, and as a method, for tests."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from pytest_enterprise.faults.bandwidth import Bandwidth
from pytest_enterprise.faults.base import Fault
from pytest_enterprise.faults.blackhole import Blackhole
from pytest_enterprise.faults.clock import Clock
from pytest_enterprise.faults.corruption import Corruption
from pytest_enterprise.faults.cpu import Cpu
from pytest_enterprise.faults.cut import Cut
from pytest_enterprise.faults.cut_answer import CutAnswer, Protocol
from pytest_enterprise.faults.descriptors import Descriptors
from pytest_enterprise.faults.disconnect import Disconnect
from pytest_enterprise.faults.disk import DiskErrors, DiskFull, DiskReadOnly, DiskSlow
from pytest_enterprise.faults.dns import Dns
from pytest_enterprise.faults.freeze import Freeze
from pytest_enterprise.faults.http import Http
from pytest_enterprise.faults.kill import Kill
from pytest_enterprise.faults.kill_on_write import KillOnWrite
from pytest_enterprise.faults.latency import Latency
from pytest_enterprise.faults.limit import Limit
from pytest_enterprise.faults.link import Direction
from pytest_enterprise.faults.loss import Loss
from pytest_enterprise.faults.memory import Memory
from pytest_enterprise.faults.noop import Noop
from pytest_enterprise.faults.packets import Packets
from pytest_enterprise.faults.partition import Partition
from pytest_enterprise.faults.pause import Pause
from pytest_enterprise.faults.power_failure import PowerFailure
from pytest_enterprise.faults.processes import Processes
from pytest_enterprise.faults.repeating import CrashLoop, Flapping
from pytest_enterprise.faults.reset import Reset
from pytest_enterprise.faults.restart import Restart
from pytest_enterprise.faults.rot import Rot
from pytest_enterprise.faults.slicer import Slicer
from pytest_enterprise.faults.slow_close import SlowClose
from pytest_enterprise.faults.topology import Shape, Topology

if TYPE_CHECKING:
    from pytest_enterprise.faults.active import ActiveFault

KINDS: dict[str, type[Fault]] = {
    fault.kind: fault
    for fault in (
        Bandwidth,
        Blackhole,
        Clock,
        Corruption,
        CrashLoop,
        Cut,
        CutAnswer,
        Descriptors,
        Processes,
        Memory,
        Cpu,
        DiskErrors,
        DiskFull,
        DiskReadOnly,
        DiskSlow,
        Disconnect,
        Dns,
        Flapping,
        Freeze,
        Http,
        Kill,
        KillOnWrite,
        Latency,
        Limit,
        Loss,
        Noop,
        Packets,
        Partition,
        Pause,
        PowerFailure,
        Reset,
        Restart,
        Rot,
        Slicer,
        SlowClose,
        Topology,
    )
}
When = Mapping[str, int | float | str]
_ALWAYS: When = {}


class Catalogue(ABC):
    """Makes faults, each not yet begun: use it in a ``with`` statement, or call ``begin()`` and ``end()``."""

    @abstractmethod
    def apply(self, fault: Fault) -> ActiveFault:
        """An application of any fault, not yet begun."""

    def noop(self) -> ActiveFault:
        """Nothing at all, as a window to compare with."""
        return self.apply(Noop())

    def latency(
        self, link: str, delay: float, *, jitter: float = 0.0, direction: Direction = "downstream", when: When = _ALWAYS
    ) -> ActiveFault:
        """Delay each chunk by ``delay`` seconds plus or minus ``jitter``."""
        return self.apply(Latency(target=link, delay=delay, jitter=jitter, direction=direction, when=when))

    def bandwidth(self, link: str, rate: float, *, direction: Direction = "both", when: When = _ALWAYS) -> ActiveFault:
        """Let ``rate`` kilobytes per second through."""
        return self.apply(Bandwidth(target=link, rate=rate, direction=direction, when=when))

    def slicer(
        self, link: str, size: int, *, gap: float = 0.0, direction: Direction = "downstream", when: When = _ALWAYS
    ) -> ActiveFault:
        """Deliver in pieces of about ``size`` bytes, ``gap`` seconds apart."""
        return self.apply(Slicer(target=link, size=size, gap=gap, direction=direction, when=when))

    def slow_close(
        self, link: str, delay: float, *, direction: Direction = "both", when: When = _ALWAYS
    ) -> ActiveFault:
        """Hang up ``delay`` seconds late."""
        return self.apply(SlowClose(target=link, delay=delay, direction=direction, when=when))

    def limit(self, link: str, size: int, *, direction: Direction = "downstream", when: When = _ALWAYS) -> ActiveFault:
        """Break each connection off after ``size`` bytes."""
        return self.apply(Limit(target=link, size=size, direction=direction, when=when))

    def cut(self, link: str) -> ActiveFault:
        """End its connections and refuse new ones."""
        return self.apply(Cut(target=link))

    def refuse(self, link: str) -> ActiveFault:
        """Refuse new connections; those that are open go on."""
        return self.apply(Cut(target=link, keep=True))

    def blackhole(self, link: str, *, direction: Direction = "both", when: When = _ALWAYS) -> ActiveFault:
        """Swallow everything in silence."""
        return self.apply(Blackhole(target=link, direction=direction, when=when))

    def freeze(self, link: str, *, direction: Direction = "both", when: When = _ALWAYS) -> ActiveFault:
        """Hold everything back, and lose nothing."""
        return self.apply(Freeze(target=link, direction=direction, when=when))

    def loss(
        self, link: str, probability: float, *, direction: Direction = "both", when: When = _ALWAYS
    ) -> ActiveFault:
        """Drop chunks."""
        return self.apply(Loss(target=link, probability=probability, direction=direction, when=when))

    def corruption(
        self,
        link: str,
        probability: float = 1.0,
        *,
        bits: int = 1,
        direction: Direction = "downstream",
        when: When = _ALWAYS,
    ) -> ActiveFault:
        """Flip bits."""
        return self.apply(Corruption(target=link, probability=probability, bits=bits, direction=direction, when=when))

    def reset(self, link: str, *, after: float = 0.0, when: When = _ALWAYS) -> ActiveFault:
        """Reset open connections at once and later ones ``after`` seconds from their first byte."""
        return self.apply(Reset(target=link, after=after, when=when))

    def cut_answer(
        self,
        link: str,
        *,
        protocol: Protocol = "any",
        match: str = "",
        share: float = 1.0,
        limit: int | None = None,
        when: When = _ALWAYS,
    ) -> ActiveFault:
        """Let requests be done and nobody hear of it."""
        return self.apply(CutAnswer(target=link, protocol=protocol, match=match, share=share, limit=limit, when=when))

    def http(
        self,
        link: str,
        *,
        route: str = "",
        status: int | None = None,
        delay: float = 0.0,
        truncate: int = 0,
        body: str = "",
        slow_head: float = 0.0,
        when: When = _ALWAYS,
    ) -> ActiveFault:
        """Answer HTTP requests wrongly, late or in part."""
        return self.apply(
            Http(
                target=link,
                route=route,
                status=status,
                delay=delay,
                truncate=truncate,
                body=body,
                slow_head=slow_head,
                when=when,
            )
        )

    def partition(self, target: str, others: Sequence[str], *, one_way: bool = False) -> ActiveFault:
        """Swallow everything between ``target`` and ``others``, or only what ``target`` sends."""
        return self.apply(Partition(target=target, others=tuple(others), one_way=one_way))

    def topology(self, target: str, shape: Shape) -> ActiveFault:
        """Part a cluster: ``isolate``, ``halves``, ``bridge`` or ``ring``."""
        return self.apply(Topology(target=target, shape=shape))

    def flapping(self, fault: ActiveFault, *, on: float = 0.5, off: float = 0.5) -> ActiveFault:
        """A fault that was made but not begun, ``on`` and ``off`` for so many seconds, over and over."""
        return self.apply(Flapping(inner=fault.fault, on=on, off=off))

    def kill(self, engine: str, *, signal: str = "SIGKILL") -> ActiveFault:
        """End it by a signal, and start it again when the fault ends."""
        return self.apply(Kill(target=engine, signal=signal))

    def kill_on_write(self, engine: str) -> ActiveFault:
        """End it as soon as it writes."""
        return self.apply(KillOnWrite(target=engine))

    def crash_loop(self, engine: str, *, up: float = 0.5) -> ActiveFault:
        """End it again ``up`` seconds after each time it came back."""
        return self.apply(CrashLoop(target=engine, up=up))

    def pause(self, engine: str) -> ActiveFault:
        """Stop it without ending it."""
        return self.apply(Pause(target=engine))

    def restart(self, engine: str, *, down_for: float = 0.0) -> ActiveFault:
        """Stop it in good order and start it again ``down_for`` seconds later."""
        return self.apply(Restart(target=engine, down_for=down_for))

    def disconnect(self, engine: str) -> ActiveFault:
        """Take it off its network."""
        return self.apply(Disconnect(target=engine))

    def cpu(self, engine: str, share: float) -> ActiveFault:
        """Let it have ``share`` of one CPU."""
        return self.apply(Cpu(target=engine, share=share))

    def memory(self, engine: str, *, more: int = 0, press: bool = False) -> ActiveFault:
        """Let it have ``more`` bytes beyond what it holds; with ``press`` somebody else takes them."""
        return self.apply(Memory(target=engine, more=more, press=press))

    def processes(self, engine: str, *, more: int = 0) -> ActiveFault:
        """Let it start ``more`` processes and threads."""
        return self.apply(Processes(target=engine, more=more))

    def descriptors(self, engine: str, *, more: int = 0) -> ActiveFault:
        """Let it open ``more`` files and connections."""
        return self.apply(Descriptors(target=engine, more=more))

    def dns(self, engine: str, answer: str = "nxdomain", *, name: str = "*", delay: float = 0.0) -> ActiveFault:
        """Tell it wrong things of names, or late."""
        return self.apply(Dns(target=engine, answer=answer, name=name, delay=delay))

    def packets(
        self,
        engine: str,
        *,
        loss: float = 0.0,
        delay: float = 0.0,
        jitter: float = 0.0,
        duplicate: float = 0.0,
        reorder: float = 0.0,
    ) -> ActiveFault:
        """Lose shares of the packets that it sends, delay, double or reorder them."""
        return self.apply(
            Packets(target=engine, loss=loss, delay=delay, jitter=jitter, duplicate=duplicate, reorder=reorder)
        )

    def clock(self, engine: str, *, offset: float = 0.0, rate: float = 1.0) -> ActiveFault:
        """Set its clock ``offset`` seconds ahead, and let it run at ``rate`` seconds per second."""
        return self.apply(Clock(target=engine, offset=offset, rate=rate))

    def rot(self, engine: str, path: str, *, bytes: int = 1, truncate: int = 0) -> ActiveFault:
        """Change a file of it behind its back, or cut it short."""
        return self.apply(Rot(target=engine, path=path, bytes=bytes, truncate=truncate))

    def disk_full(self, engine: str) -> ActiveFault:
        """Let no file of it grow."""
        return self.apply(DiskFull(target=engine))

    def disk_read_only(self, engine: str) -> ActiveFault:
        """Let it change nothing on its disk."""
        return self.apply(DiskReadOnly(target=engine))

    def disk_slow(self, engine: str, delay: float) -> ActiveFault:
        """Make each read, write and sync ``delay`` seconds late."""
        return self.apply(DiskSlow(target=engine, delay=delay))

    def disk_errors(self, engine: str, share: float = 1.0, *, path: str = "") -> ActiveFault:
        """Let reads, writes and syncs fail."""
        return self.apply(DiskErrors(target=engine, share=share, path=path))

    def power_failure(self, engine: str) -> ActiveFault:
        """End it, with all that it had not synced."""
        return self.apply(PowerFailure(target=engine))
