"""A stack that runs: places every instance, starts what is asked for along the links, and ends all of it."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pytest_enterprise import networks
from pytest_enterprise.engines import clock, disk, packets, resolver
from pytest_enterprise.engines.base import Address, Engine, Launch, Site
from pytest_enterprise.engines.clock import Clock
from pytest_enterprise.engines.disk import DiskDrive
from pytest_enterprise.engines.fault_proxy import FaultProxy, PlannedLink, PlannedTunnel
from pytest_enterprise.engines.packets import PacketPlayer
from pytest_enterprise.engines.resolver import Resolver
from pytest_enterprise.engines.toxiproxy import Toxiproxy
from pytest_enterprise.errors import ConfigurationError, EngineFailed, MachineCannot, cannot_write, nearest
from pytest_enterprise.run import Run
from pytest_enterprise.runtimes import choose, mounts, proctree
from pytest_enterprise.runtimes.base import Instance, Placement, Runtime
from pytest_enterprise.runtimes.program import resolve
from pytest_enterprise.stack import LOAD, Link, Stack, link_name

if TYPE_CHECKING:
    from pytest_enterprise.runtimes.process import ProcessRuntime

PROXY = "proxy"
"""The name of the fault proxy's instance."""
RESOLVER = "resolver"
"""The name of the instance that resolves names, if an engine dials by name."""
_PROGRAMS = frozenset({DiskDrive.kind, PacketPlayer.kind})
"""Engines that are there before the fault proxy."""
_POLL = 0.005
"""Seconds between two questions whether an engine is ready."""


@dataclasses.dataclass(frozen=True)
class PlacedLink:
    """A link between two instances, with the address that its client dials."""

    name: str
    client: str
    server: str
    address: Address
    """As this machine reaches it for links of ``load``, else as the client does."""


def _dials_by_name(engine: Engine) -> bool:
    return engine.names and not engine.url


class RunningStack:
    """The engines of a :class:`Stack`, started on demand.

    Its methods are coroutines of one event loop; :class:`pytest_enterprise.live.LiveStack` is the synchronous face.
    """

    def __init__(self, run: Run, spec: Stack) -> None:
        self.run = run
        self.spec = self._with_settings(spec)
        self.proxied = bool(self.spec.links) and not run.settings.direct
        self._runtimes: dict[str, Runtime] = {}
        self._runtime_of: dict[str, str] = {}
        self._engines: dict[str, Engine] = {}
        self._names: dict[str, list[str]] = {}
        self._added: dict[str, int] = {}
        self._placed: dict[str, Placement] = {}
        self._instances: dict[str, Instance] = {}
        self._starting: dict[str, asyncio.Task[None]] = {}
        self._links: dict[str, PlacedLink] = {}
        self._proxy: FaultProxy | None = None
        self._disks: dict[str, DiskDrive] = {}
        """The disks by the instances whose data lie on them."""
        self._networks = networks.Networks()
        self._resolver: Resolver | None = None
        self._asks_as: dict[str, str] = {}
        """The addresses by which the resolver tells apart those who ask."""
        self._opening: asyncio.Future[None] | None = None

    def _with_settings(self, spec: Stack) -> Stack:
        """The specification with the images, URLs and time limits of the settings put in."""
        settings = self.run.settings
        for given in (settings.images, settings.url):
            for name in given:
                if name != PROXY:
                    spec.engine(name)
        engines = []
        for engine in spec.engines:
            changes: dict[str, object] = {}
            if engine.name in settings.images:
                changes["image"] = settings.images[engine.name]
            if engine.name in settings.url:
                changes["url"] = settings.url[engine.name]
            if settings.start_timeout is not None:
                changes["start_timeout"] = settings.start_timeout
            engines.append(dataclasses.replace(engine, **changes) if changes else engine)  # type: ignore[arg-type]
        return Stack(engines, spec.links)

    # Planning

    async def open(self) -> None:
        """Choose runtimes, reserve every address and plan the links; starts no engine.

        What could not be done once is not tried again: every test of the stack is told the same.
        """
        if self._opening is None:
            self._opening = asyncio.ensure_future(self._open())
        await asyncio.shield(self._opening)

    async def _open(self) -> None:
        ours = [engine for engine in self.spec.engines if not engine.url]
        for wanted_by, reason in (
            ("disk", disk.why_not),
            ("clock", clock.why_not),
            ("packets", packets.why_not),
        ):
            names = [engine.name for engine in ours if getattr(engine, wanted_by)]
            if names and (why := reason()):
                raise MachineCannot(f"{', '.join(names)}: {why}")
        wanted = choose.runtime_name(self.run.settings.runtime, self.spec)
        by_name = any(map(_dials_by_name, ours))
        if by_name and (why := resolver.why_not(wanted)):
            raise MachineCannot(why)
        networks.refuse(self.spec, wanted, proxied=self.proxied, foreign=bool(self.foreign_proxy))
        for engine in self.spec.engines:
            self._runtime_of[engine.name] = "external" if engine.url else wanted
        programs = {"process"} if any(engine.disk or engine.packets for engine in ours) else set()
        proxy_runtime = ("external" if self.foreign_proxy else wanted,) if self.proxied else ()
        if self.foreign_proxy and wanted == "container":
            raise ConfigurationError(
                f"a Toxiproxy of your own ({self.foreign_proxy}) listens on this machine, where containers do not "
                "reach it; use --enterprise-runtime=process"
            )
        for name in {*self._runtime_of.values(), *proxy_runtime, *programs}:
            self._runtimes[name] = runtime = choose.make(name, self.run)
            await runtime.open()
        for engine in self.spec.engines:
            self._engines[engine.name] = engine
            self._names[engine.name] = list(engine.instances)
            for instance in engine.instances:
                self._place(engine, instance)
                if engine.disk and not engine.url:
                    self._place_disk(instance)
        if self.proxied:
            self._plan_links(*proxy_runtime)
        if by_name:
            self._place_resolver(wanted)

    def _place(self, engine: Engine, instance: str) -> None:
        placed = self._runtimes[self._runtime_of[engine.name]].place(engine, instance)
        if networks.has_network(engine):
            own = self._runtime_of[engine.name] == "process"
            placed = self._networks.plan(instance, placed, own=own, token=self._processes.token)
            self._place_program(self._networks.players[instance])
        self._placed[instance] = placed

    @property
    def _processes(self) -> ProcessRuntime:
        from pytest_enterprise.runtimes.process import ProcessRuntime

        runtime = self._runtimes["process"]
        assert isinstance(runtime, ProcessRuntime)
        return runtime

    def _place_program(self, program: Engine) -> None:
        self._engines[program.name] = program
        self._names[program.name] = [program.name]
        self._runtime_of[program.name] = "process"
        self._placed[program.name] = self._processes.place(program, program.name)

    def _place_disk(self, instance: str) -> None:
        data = self._placed[instance].data
        drive = DiskDrive(
            name=f"{instance}.disk",
            backing=str(data.with_name("disk")),
            mountpoint=str(data),
            mounted_as=mounts.new_name(self._processes.token),
        )
        self._disks[instance] = drive
        self._place_program(drive)

    def _place_resolver(self, runtime: str) -> None:
        engine = Resolver(name=RESOLVER, block=resolver.free_block() if runtime == "process" else "")
        self._engines[RESOLVER] = self._resolver = engine
        self._names[RESOLVER] = [RESOLVER]
        self._runtime_of[RESOLVER] = runtime
        self._placed[RESOLVER] = self._runtimes[runtime].place(engine, RESOLVER)

    def asks_as(self, instance: str) -> str:
        """The address by which the resolver knows an instance; ConfigurationError when it dials no names."""
        engine = self._engine_of(instance)
        if not self._resolver or not _dials_by_name(engine):
            named = ", ".join(engine.name for engine in self.spec.engines if engine.names) or "none"
            raise ConfigurationError(
                f"{instance} asks for no names; declare its engine with names=True. With them: {named}"
            )
        if instance not in self._asks_as:
            number = len(self._asks_as) + 1
            if self._resolver.block and number > resolver.CLIENTS:
                raise ConfigurationError(f"{instance}: more than {resolver.CLIENTS} instances dial by name")
            own = next(iter(self._placed[instance].network.values())).host
            self._asks_as[instance] = f"{self._resolver.block}.{number}" if self._resolver.block else own
        return self._asks_as[instance]

    def ask_resolver(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """One request to the resolver. Raises FaultFailed."""
        return Resolver.call(self._placed[RESOLVER].host["control"], method, path, body)

    def disk(self, instance: str) -> DiskDrive:
        """The disk of an instance; ConfigurationError when its engine has none."""
        self._engine_of(instance)
        try:
            return self._disks[instance]
        except KeyError:
            with_disks = ", ".join(self._disks) or "none"
            raise ConfigurationError(
                f"{instance} has no disk with faults; declare its engine with disk=True. With one: {with_disks}"
            ) from None

    def network(self, instance: str) -> PacketPlayer:
        """The network of an instance; ConfigurationError when its engine has none of its own."""
        self._engine_of(instance)
        return self._networks.player(instance, self.spec)

    async def disturb(self, instance: str, settings: Mapping[str, float]) -> None:
        """Disturb the packets that an instance sends, until its network is asked to end that. Raises FaultFailed."""
        place = await self._networks.place_of(instance, self.instance(instance))
        await asyncio.to_thread(self.network(instance).ask, "begin", **{"in": place, **settings})

    def clock(self, instance: str) -> Clock:
        """The clock of an instance; ConfigurationError when its engine's cannot be set."""
        engine = self._engine_of(instance)
        if not engine.clock or engine.url:
            with_clocks = ", ".join(engine.name for engine in self.spec.engines if engine.clock) or "none"
            raise ConfigurationError(
                f"{instance} has no clock that can be set; declare its engine with clock=True. With one: {with_clocks}"
            )
        return Clock(self._placed[instance].config)

    def _pairs(self, link: Link) -> Iterable[tuple[str, str]]:
        clients = (LOAD,) if link.client == LOAD else tuple(self._names[link.client])
        return ((a, b) for a in clients for b in self._names[link.server] if a != b)

    def _direct(self, client: str, server: str, port: str) -> Address:
        """The server's own address as ``client`` reaches it."""
        engine = self._engine_of(server)
        port = port or next(iter(engine.ports))
        placed = self._placed[server]
        return placed.host[port] if client == LOAD else placed.network[port]

    @property
    def foreign_proxy(self) -> str:
        """The URL of the Toxiproxy that carries the links in place of the proxy of our own; empty for ours."""
        return self.run.settings.url.get(PROXY, "")

    @property
    def _carried(self) -> list[Link]:
        """The links that go through the proxy; Toxiproxy has no tunnels, which members of a cluster need."""
        return [link for link in self.spec.links if not self.foreign_proxy or link.client != link.server]

    def _plan_links(self, runtime: str) -> None:
        planned, tunnels = [], []
        for link in self._carried:
            peer = link.client == link.server
            for client, server in self._pairs(link):
                planned.append(
                    PlannedLink(
                        name=link_name(client, server),
                        upstream=self._placed[server].network[link.port or self._peer_port(server, peer)],
                        published=client == LOAD,
                        host=self._networks.outside(client),
                    )
                )
            if peer:
                for client in self._names[link.client]:
                    engine = self._engine_of(client)
                    routes = {
                        target: link_name(client, server)
                        for server in self._names[link.server]
                        if server != client and (target := engine.tunnel_target(server))
                    }
                    if routes:
                        tunnels.append(PlannedTunnel(name=client, routes=routes, host=self._networks.outside(client)))
        self._proxy = (Toxiproxy if self.foreign_proxy else FaultProxy)(
            name=PROXY,
            planned=tuple(planned),
            tunnels=tuple(tunnels),
            url=self.foreign_proxy or None,
            image=self.run.settings.images.get(PROXY),
        )
        self._engines[PROXY] = self._proxy
        self._names[PROXY] = [PROXY]
        self._runtime_of[PROXY] = runtime
        placed = self._runtimes[runtime].place(self._proxy, PROXY)
        if self.foreign_proxy:
            own = {link.name: Address(placed.bind, self.run.ports.take()) for link in planned}
            placed = dataclasses.replace(placed, host={**placed.host, **own}, network={**placed.network, **own})
        hosts = {link.name: link.host for link in planned} | {FaultProxy.tunnel_port(t.name): t.host for t in tunnels}
        apart = {name: Address(host, placed.listen[name]) for name, host in hosts.items() if host}
        placed = dataclasses.replace(placed, network={**placed.network, **apart})
        self._placed[PROXY] = placed
        for link in self._carried:
            for client, server in self._pairs(link):
                self._note_link(client, server)

    def _peer_port(self, server: str, peer: bool) -> str:
        ports = list(self._engine_of(server).ports)
        return "peer" if peer and "peer" in ports else ports[0]

    def _note_link(self, client: str, server: str) -> None:
        name = link_name(client, server)
        where = self._placed[PROXY].host if client == LOAD else self._placed[PROXY].network
        self._links[name] = PlacedLink(name, client, server, where[name])
        self.run.events.emit("link.opened", link=name, listen=str(where[name]), upstream=server)

    # What is where

    def _engine_of(self, instance: str) -> Engine:
        for name, instances in self._names.items():
            if instance in instances:
                return self._engines[name]
        known = [i for instances in self._names.values() for i in instances]
        raise ConfigurationError(f"no instance is named {instance!r}. {nearest(instance, known)}")

    @property
    def links(self) -> Mapping[str, PlacedLink]:
        """The links by name; empty when the stack runs with no proxy."""
        return self._links

    def resolve_links(self, pattern: str) -> list[PlacedLink]:
        """The links of ``"client -> server"``, each side an instance or an engine (meaning all its instances)."""
        if not self.proxied:
            raise ConfigurationError(
                f"link {pattern!r}: this stack runs with no fault proxy, so its links cannot be disturbed. "
                "Leave --enterprise-direct away, and give the stack links."
            )
        client, arrow, server = (part.strip() for part in pattern.partition("->"))
        clients = self._names.get(client, [client])
        servers = self._names.get(server, [server])
        found = [link for link in self._links.values() if link.client in clients and link.server in servers]
        if not arrow or not found:
            raise ConfigurationError(f"no link is named {pattern!r}. {nearest(pattern, self._links)}")
        return found

    def engines_at(self, targets: Iterable[str]) -> list[str]:
        """The engines that links and instances of these names belong to."""
        parts = {part for target in targets for part in target.split(" -> ")}
        return [name for name, instances in self._names.items() if name != PROXY and parts & set(instances)]

    def resolve_instances(self, name: str) -> list[str]:
        """The instances of an engine, or the instance itself."""
        if name in self._names:
            return list(self._names[name])
        self._engine_of(name)
        return [name]

    def labelled(self, label: str, value: str) -> list[str]:
        """The instances whose label has that value; ConfigurationError names the labels that exist."""
        found, known = [], set()
        for engine_name, names in self._names.items():
            engine = self._engines[engine_name]
            for index, name in enumerate(names, 1):
                if (has := engine.label(label, index)) is not None:
                    known.add(f"{label}={has}")
                    if has == value:
                        found.append(name)
        if not found:
            raise ConfigurationError(f"no instance has the label {label}={value}. {nearest(f'{label}={value}', known)}")
        return found

    async def leader(self, name: str, *, timeout: float = 10.0) -> str:
        """The instance of an engine that leads now; waits for an election that is going on."""
        engine = self.spec.engine(name)
        ends = time.monotonic() + timeout
        while True:
            found = await engine.leader([self.site(instance) for instance in self._names[name]])
            if found:
                return found
            if time.monotonic() > ends:
                raise EngineFailed(f"{name} has no leader after {timeout:g} s")
            await asyncio.sleep(0.02)

    def address(self, name: str, port: str = "", *, client: str = LOAD) -> Address:
        """Where tests reach an engine's first instance: through the link from ``load`` if there is one."""
        instance = self.resolve_instances(name)[0]
        link = self._links.get(link_name(client, instance))
        if link and not port:
            return link.address
        return self._direct(LOAD, instance, port)

    def instance(self, name: str) -> Instance:
        """The running instance of that name."""
        self._engine_of(name)
        try:
            return self._instances[name]
        except KeyError:
            raise ConfigurationError(
                f"{name} is not running; ask for a fixture that needs it. Running: {', '.join(self._instances)}"
            ) from None

    @property
    def running(self) -> Mapping[str, Instance]:
        """The started instances by name."""
        return self._instances

    async def cpu_seconds(self) -> dict[str, float]:
        """CPU seconds of each instance so far; of processes in their present life: cheap enough for every second."""
        roots = {name: pid for name, one in self._instances.items() if (pid := one.main_pid) is not None}
        found = await asyncio.to_thread(_cpu_below, roots)
        for name in [name for name in self._instances if name not in roots]:
            with contextlib.suppress(Exception):  # it may be ending
                found[name] = await self._instances[name].cpu_seconds()
        return {name: seconds for name, seconds in found.items() if seconds}

    def site(self, name: str) -> Site:
        """Where an instance lives and which addresses it dials."""
        engine = self._engine_of(name)
        placed = self._placed[name]
        links: dict[str, Sequence[Address]] = {}
        for link in self.spec.links:
            if link.client == engine.name and link.client != link.server:
                links[link.server] = [
                    self._links[link_name(name, server)].address
                    if self.proxied
                    else self._direct(name, server, link.port)
                    for server in self._names[link.server]
                ]
        if _dials_by_name(engine):
            links = {
                server: [
                    Address(resolver.name_of(instance), address.port)
                    for instance, address in zip(self._names[server], addresses, strict=True)
                ]
                for server, addresses in links.items()
            }
        tunnel = None
        if self._proxy and any(t.name == name for t in self._proxy.tunnels):
            tunnel = self._placed[PROXY].network[FaultProxy.tunnel_port(name)]
        return Site(
            name=name,
            index=self._names[engine.name].index(name) + 1,
            siblings=tuple(self._names[engine.name]),
            runtime=self._runtime_of[engine.name],
            bind=placed.bind,
            listen=placed.listen,
            host=placed.host,
            network={instance: p.network for instance, p in self._placed.items()},
            links=links,
            instances={server: tuple(self._names[server]) for server in links},
            routes={(link.client, link.server): link.address for link in self._links.values() if link.client != LOAD},
            tunnel=tunnel,
            config=placed.config,
            data=placed.data,
            config_inside=placed.config_inside,
            data_inside=placed.data_inside,
            seed=self.run.seed,
        )

    # Starting and ending

    async def ensure(self, names: Iterable[str] | None = None) -> None:
        """Start the engines of these names (None: all) and what they need; returns when they are ready."""
        await self.open()
        wanted = self.spec.engines if names is None else self.spec.needed(names)
        if self._proxy and wanted:
            wanted = (self._proxy, *wanted)
        if self._resolver and any(map(_dials_by_name, wanted)):
            wanted = (self._resolver, *wanted)
        drives = [self._disks[name] for engine in wanted for name in self._names[engine.name] if name in self._disks]
        wanted = (*drives, *self._networks.players.values(), *wanted)
        jobs = [
            self._starting.setdefault(instance, asyncio.ensure_future(self._bring_up(engine, instance)))
            if instance not in self._starting
            else self._starting[instance]
            for engine in wanted
            for instance in self._names[engine.name]
        ]
        try:
            await asyncio.gather(*jobs)
        except BaseException:
            for job in jobs:
                job.cancel()
            await asyncio.gather(*jobs, return_exceptions=True)
            raise

    async def _bring_up(self, engine: Engine, name: str) -> None:
        # So that what this one waits for is being started as well, in the same round of the loop.
        await asyncio.sleep(0)
        before = [self._disks[name].name] if name in self._disks else []
        if engine.name == PROXY:
            before += [player.name for player in self._networks.players.values()]
        elif name in self._networks.players:
            before.append(self._networks.players[name].name)
        if (
            engine.kind not in _PROGRAMS
            and self.proxied
            and engine.name != PROXY
            and self._runtime_of[engine.name] != "external"
        ):
            before.append(PROXY)
        if _dials_by_name(engine):
            before.append(RESOLVER)
        if not engine.patient:
            before += [
                server
                for link in self.spec.links
                if link.client == engine.name and link.server != engine.name
                for server in self._names[link.server]
            ]
        waited = [self._starting[server] for server in before if server in self._starting]
        if waited:
            await asyncio.gather(*(asyncio.shield(job) for job in waited))
        await self._start(engine, name)

    async def _start(self, engine: Engine, name: str) -> None:
        site = self.site(name)
        runtime = self._runtimes[site.runtime]
        try:
            launch = await asyncio.to_thread(engine.launch, site)
            if self._resolver and _dials_by_name(engine):
                in_container = self._placed[RESOLVER].network["control"].host
                nameserver = self.asks_as(name) if self._resolver.block else in_container
                launch = await asyncio.to_thread(resolver.dials_by_name, launch, site, nameserver)
            if engine.clock and not engine.url:
                launch = await asyncio.to_thread(self._with_clock, engine, site, launch)
        except OSError as error:
            raise cannot_write(site.config, error) from error
        launch = await self._networks.joined(name, launch)
        self.run.events.secrets.learn(launch.env)
        began = time.monotonic()
        instance = await runtime.start(engine, site, launch)
        self._instances[name] = instance
        emit = self.run.events.emit
        emit(
            "engine.starting",
            engine=name,
            kind_of_engine=engine.kind,
            runtime=site.runtime,
            command=instance.command_line,
            image=instance.image,
        )
        await self.wait_ready(name, began=began)
        if name in self._disks:
            # What was made while it was set up is not what a power failure may take.
            await asyncio.to_thread(self._disks[name].ask, "settle")
        emit(
            "engine.ready",
            engine=name,
            kind_of_engine=engine.kind,
            runtime=site.runtime,
            version=await asyncio.to_thread(engine.version),
            seconds=round(time.monotonic() - began, 4),
            urls={port: str(address) for port, address in site.host.items()},
        )

    def _with_clock(self, engine: Engine, site: Site, launch: Launch) -> Launch:
        process = site.runtime == "process"
        if process:  # what stands before it is no program of the engine
            program, *arguments = launch.command
            launch = dataclasses.replace(launch, command=(str(resolve(engine, program)), *arguments))
        return self.clock(site.name).install(launch, site.config_inside, own_memory=not process)

    async def wait_ready(self, name: str, *, began: float | None = None, timeout: float | None = None) -> float:
        """Wait until the server itself says that it is ready; returns the seconds it took.

        Raises EngineFailed with the last log lines when it ends first or takes longer than its limit.
        """
        engine, site, instance = self._engine_of(name), self.site(name), self._instances[name]
        began = time.monotonic() if began is None else began
        limit = timeout or engine.start_timeout
        said: str | None = "nothing"
        while True:
            if not await instance.alive():
                raise self._failed(name, f"ended before it was ready ({instance.exit_status()})")
            said = await engine.ready(site)
            if said is None:
                return time.monotonic() - began
            if time.monotonic() - began > limit:
                raise self._failed(name, f"was not ready within {limit:g} s; its last answer: {said}")
            await asyncio.sleep(_POLL)

    def _failed(self, name: str, reason: str) -> EngineFailed:
        instance = self._instances[name]
        log = list(instance.log(20))
        self.run.events.emit("engine.failed", engine=name, reason=reason, log=log)
        lines = "\n".join(f"    {line}" for line in log) or "    (nothing)"
        whole = self._placed[name].config.parent / "log"
        return EngineFailed(
            f"{name} {reason}.\n  command: {instance.command_line}\n  last log lines:\n{lines}\n"
            f"  whole log: {whole}. Run `pytest-enterprise doctor` to see what is missing, "
            "or give it more time with --enterprise-start-timeout."
        )

    async def alive_at(self, targets: Iterable[str]) -> list[str]:
        """The instances that links and instances of these names join, as far as they run now."""
        parts = dict.fromkeys(part for target in targets for part in target.split(" -> "))
        return [name for name in parts if name in self._instances and await self._instances[name].alive()]

    async def recovered(self, names: Iterable[str]) -> dict[str, float]:
        """Wait until all of these say that they are ready; the seconds that each took. Raises EngineFailed."""
        there = [name for name in names if name in self._instances]
        took = await asyncio.gather(*(self.wait_ready(name) for name in there))
        return {name: round(seconds, 3) for name, seconds in zip(there, took, strict=True)}

    async def restart(self, name: str) -> float:
        """Start an instance again that was killed or stopped; returns the seconds until it was ready."""
        began = time.monotonic()
        await self._instances[name].restart()
        await self._networks.follow(name, self._instances[name])
        return await self.wait_ready(name, began=began)

    async def add(self, engine_name: str) -> str:
        """Start one more instance of an engine, with links of its own; returns its name when it is ready."""
        engine = self.spec.engine(engine_name)
        names = self._names[engine_name]
        # A name is never used again: what knew its last bearer (a registry, a gateway, a report) must not mix them up.
        number = self._added[engine_name] = self._added.get(engine_name, engine.replicas) + 1
        name = f"{engine_name}-{number}"
        self._place(engine, name)
        names.append(name)
        if name in self._networks.players:
            player = self._networks.players[name]
            await self._start_once(player, player.name)
        for link in self.spec.links:
            if engine_name not in (link.client, link.server) or link.client == link.server:
                continue
            for client, server in self._pairs(link):
                if name in (client, server) and self._proxy and self._can_open(client):
                    await self._open_link(client, server, link)
        await self._relink()
        try:
            await self._start_once(engine, name)
        except BaseException:
            await self.remove(name)
            raise
        return name

    async def _start_once(self, engine: Engine, name: str) -> None:
        """Start it now, and let :meth:`ensure` know."""
        self._starting[name] = asyncio.ensure_future(self._start(engine, name))
        await self._starting[name]

    def _can_open(self, client: str) -> bool:
        """Whether a link may be added now: Docker publishes no further ports, so tests reach it directly there."""
        return client != LOAD or self._runtime_of[PROXY] != "container"

    async def _relink(self) -> None:
        for name in self._instances:
            await asyncio.to_thread(self._engine_of(name).relink, self.site(name))

    async def _open_link(self, client: str, server: str, link: Link) -> None:
        assert self._proxy is not None
        name = link_name(client, server)
        placed = self._placed[PROXY]
        port = self.run.ports.take()
        apart = self._networks.outside(client)
        await asyncio.to_thread(
            self._proxy.open_link,
            placed.host["control"],
            name,
            Address(apart or placed.bind, port),
            self._direct(client, server, link.port),
        )
        address = Address(apart or placed.network["control"].host, port)
        host = {**placed.host, name: address} if client == LOAD else placed.host
        self._placed[PROXY] = dataclasses.replace(placed, network={**placed.network, name: address}, host=host)
        self._note_link(client, server)

    async def remove(self, name: str) -> None:
        """Stop an instance that :meth:`add` started and forget it."""
        engine = self._engine_of(name)
        if name in self._instances:
            await self._end(name)
        self._starting.pop(name, None)  # if it never came up
        self._names[engine.name].remove(name)
        gone = [link for link in self._links.values() if name in (link.client, link.server)]
        for link in gone:
            if self._proxy:
                await asyncio.to_thread(self._proxy.close_link, self._placed[PROXY].host["control"], link.name)
            del self._links[link.name]
        del self._placed[name]
        if name in self._networks.players:
            player = self._networks.players[name].name
            await self._end(player)
            self._networks.forget(name)
            for table in (self._engines, self._names, self._runtime_of, self._placed):
                del table[player]
        await self._relink()

    async def _end(self, name: str) -> None:
        instance = self._instances.pop(name)
        self._starting.pop(name, None)
        cpu = 0.0
        with contextlib.suppress(Exception):  # it may be gone already: the figure is a nicety
            cpu = await instance.cpu_seconds()
        await instance.resume()
        await instance.stop()
        self.run.events.emit("engine.stopped", engine=name, cpu_seconds=round(cpu, 3))

    async def close(self) -> None:
        """End every engine and leave nothing behind; safe to call more than once."""
        for job in self._starting.values():
            job.cancel()
        await asyncio.gather(*self._starting.values(), return_exceptions=True)
        self._starting.clear()
        # Disks and networks last: what stands on them must end in good order.
        programs = {program.name for program in (*self._disks.values(), *self._networks.players.values())}
        foreign_links = list(self._links) if self.foreign_proxy and PROXY in self._instances else []
        failures: list[BaseException | None] = []
        for names in (
            [n for n in self._instances if n not in programs],
            [n for n in self._instances if n in programs],
        ):
            failures += await asyncio.gather(*(self._end(name) for name in names), return_exceptions=True)
        for link in foreign_links:
            assert self._proxy is not None
            control = self._placed[PROXY].host["control"]
            failures += await asyncio.gather(
                asyncio.to_thread(self._proxy.close_link, control, link), return_exceptions=True
            )
        for runtime in self._runtimes.values():
            await runtime.close()
        self._runtimes.clear()
        self._networks.close()
        for failure in failures:
            if isinstance(failure, BaseException):
                raise failure


def _cpu_below(roots: Mapping[str, int]) -> dict[str, float]:
    """CPU seconds of each process and all below it, from one look at all processes."""
    table = proctree.processes()
    return {name: sum(table[pid].cpu for pid in proctree.descendants(table, [root])) for name, root in roots.items()}
