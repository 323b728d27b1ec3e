"""The service registry: what is registered in etcd, who leads it, and the switches that services follow."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from pytest_enterprise.engines.base import Address
from pytest_enterprise.errors import EnterpriseError

if TYPE_CHECKING:
    from aetcd import Client

    from pytest_enterprise.live import LiveStack

SERVICES = "/services/"
SWITCHES = "/config/switches/"


class Registry:
    """The tests' own view of the registry; asks its members directly, one after another until one answers."""

    def __init__(self, stack: LiveStack, engine: str) -> None:
        self._stack = stack
        self.engine = engine

    def _addresses(self) -> dict[str, Address]:
        names = self._stack.instances(self.engine)
        return {name: self._stack.running.address(name, "client") for name in names}

    @contextlib.asynccontextmanager
    async def _client(self) -> AsyncIterator[Client]:
        import aetcd

        failures = []
        for name, address in self._addresses().items():
            client = aetcd.Client(host=address.host, port=address.port, timeout=2, connect_wait_timeout=1)
            try:
                await client.connect()
                await client.get(b"/", serializable=False)
            except Exception as error:  # aetcd's errors and grpc's own both mean: try the next one
                failures.append(f"{name}: {type(error).__name__}")
                with contextlib.suppress(Exception):
                    await client.close()
                continue
            try:
                yield client
            finally:
                await client.close()
            return
        raise EnterpriseError(f"no member of {self.engine} answers ({'; '.join(failures)})")

    async def _items(self, prefix: str) -> dict[str, str]:
        async with self._client() as client:
            found = await client.get_prefix(prefix.encode())
            return {item.key.decode(): item.value.decode() for item in found}

    def items(self, prefix: str) -> dict[str, str]:
        """Keys that begin with ``prefix``, with their values."""
        return self._stack.portal.call(self._items(prefix))

    def services(self, name: str) -> dict[str, str]:
        """The registered instances of a service and the addresses they gave."""
        found = self.items(f"{SERVICES}{name}/")
        return {key.rpartition("/")[2]: json.loads(value)["address"] for key, value in found.items()}

    async def _put(self, key: str, value: str) -> None:
        async with self._client() as client:
            await client.put(key.encode(), value.encode())

    def put(self, key: str, value: str) -> None:
        """Store a value."""
        self._stack.portal.call(self._put(key, value))

    async def _delete(self, key: str) -> None:
        async with self._client() as client:
            await client.delete(key.encode())

    def delete(self, key: str) -> None:
        """Remove a key; one that is not there is no error."""
        self._stack.portal.call(self._delete(key))

    def switch(self, name: str, on: bool) -> None:
        """Turn a switch that services follow on or off."""
        if on:
            self.put(SWITCHES + name, "on")
        else:
            self.delete(SWITCHES + name)

    def leader(self, *, timeout: float = 10.0) -> str:
        """The instance that leads now, as the members say; waits for an election that is going on."""
        return self._stack.portal.call(self._stack.running.leader(self.engine, timeout=timeout))
