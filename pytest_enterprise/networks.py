"""The networks of their own that instances of a running stack have, so that their packets can be disturbed."""

from __future__ import annotations

import asyncio
import dataclasses

from pytest_enterprise.engines.base import Address, Engine, Launch
from pytest_enterprise.engines.packets import PacketPlayer, Reserved, reserve
from pytest_enterprise.errors import ConfigurationError, FaultFailed
from pytest_enterprise.runtimes import wires
from pytest_enterprise.runtimes.base import Instance, Placement
from pytest_enterprise.stack import Stack


def refuse(spec: Stack, runtime: str, *, proxied: bool, foreign: bool) -> None:
    """Raise ConfigurationError for an engine that would reach nothing from a network of its own.

    A container has one anyway.
    """
    clients = {link.client for link in spec.links}
    for engine in spec.engines:
        if not has_network(engine) or runtime == "container":
            continue
        if engine.names:
            raise ConfigurationError(
                f"{engine.name}: packets=True gives it a network of its own, where names=True finds no resolver; "
                "declare one of them, or use --enterprise-runtime=container"
            )
        if engine.name in clients and (foreign or not proxied):
            way = "a Toxiproxy of your own" if foreign else "--enterprise-direct"
            raise ConfigurationError(
                f"{engine.name}: packets=True gives it a network of its own, where it reaches others through the "
                f"stack's fault proxy only; leave {way} away"
            )


def has_network(engine: Engine) -> bool:
    return engine.packets and not engine.url


class Networks:
    """Players by the instances whose packets they disturb."""

    def __init__(self) -> None:
        self.players: dict[str, PacketPlayer] = {}
        self._reserved: dict[str, Reserved] = {}

    def plan(self, instance: str, placed: Placement, *, own: bool, token: str) -> Placement:
        """Make its player, and say where the instance is then; ``own``: the namespace has yet to be made."""
        name, known_as = f"{instance}.packets", wires.new_name(token)
        if not own:
            self.players[instance] = PacketPlayer(name=name, known_as=known_as)
            return placed
        self._reserved[instance] = reserved = reserve()
        self.players[instance] = PacketPlayer(name=name, known_as=known_as, block=reserved.block)
        inside = {port: Address(reserved.block.inside, number) for port, number in placed.listen.items()}
        return dataclasses.replace(placed, bind=reserved.block.inside, host=inside, network=inside)

    def outside(self, client: str) -> str:
        """The address at which a client reaches this machine; empty when it is on the machine's own network."""
        reserved = self._reserved.get(client)
        return reserved.block.outside if reserved else ""

    def player(self, instance: str, spec: Stack) -> PacketPlayer:
        """The player of an instance; ConfigurationError when it has none."""
        try:
            return self.players[instance]
        except KeyError:
            named = ", ".join(engine.name for engine in spec.engines if has_network(engine)) or "none"
            raise ConfigurationError(
                f"{instance} has no network of its own; declare its engine with packets=True. With one: {named}"
            ) from None

    async def joined(self, instance: str, launch: Launch) -> Launch:
        """The launch of an instance in the namespace that was made for it, if one was."""
        if instance not in self._reserved:
            return launch
        answer = await asyncio.to_thread(self.players[instance].ask, "where")
        return dataclasses.replace(launch, network=answer["pid"])

    async def place_of(self, name: str, instance: Instance) -> str | None:
        """The namespace that the player must enter; None: it is in it. Raises FaultFailed."""
        if name in self._reserved:
            return None
        pids = await instance.pids() if await instance.alive() else []
        if not pids:
            raise FaultFailed(f"{name} is not running, so its container has no network")
        return f"/proc/{pids[0]}/ns/net"

    async def follow(self, name: str, instance: Instance) -> None:
        """Go on in the namespace of a container that was started again."""
        if name in self.players and name not in self._reserved:
            place = await self.place_of(name, instance)
            await asyncio.to_thread(self.players[name].ask, "move", **{"in": place})

    def forget(self, instance: str) -> None:
        self.players.pop(instance, None)
        if reserved := self._reserved.pop(instance, None):
            reserved.lock.close()

    def close(self) -> None:
        for instance in list(self.players):
            self.forget(instance)
