"""Which engines a test needs and which links join them: the declaration. :mod:`pytest_enterprise.running` starts it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from typing import Any

from pytest_enterprise.engines.base import Engine
from pytest_enterprise.errors import ConfigurationError, nearest

LOAD = "load"
"""The client side of tests and load generators, as a name in links."""


@dataclass(frozen=True)
class Link:
    """A directed connection from each instance of ``client`` to each instance of ``server``.

    It runs through the fault proxy. ``client`` may be ``"load"``: the tests and the load generator. A link from an
    engine to itself joins its instances to each other (etcd's peers).
    """

    client: str
    server: str
    port: str = ""
    """The server's port by name; empty means its first."""


def link_name(client: str, server: str) -> str:
    """The name of a link between two instances, as faults, events and the proxy write it."""
    return f"{client} -> {server}"


@dataclass(frozen=True)
class Stack:
    """Engines and links, as ``enterprise_stack_spec`` returns them."""

    engines: tuple[Engine, ...]
    links: tuple[Link, ...] = ()

    def __init__(self, engines: Iterable[Engine], links: Iterable[Link] = ()) -> None:
        object.__setattr__(self, "engines", tuple(engines))
        object.__setattr__(self, "links", tuple(links))
        names = [engine.name for engine in self.engines]
        for name in names:
            if names.count(name) > 1:
                raise ConfigurationError(f"two engines are named {name!r}; give each its own name")
        for link in self.links:
            if link.client != LOAD and link.client not in names:
                raise ConfigurationError(f"{link}: no engine is named {link.client!r}. {nearest(link.client, names)}")
            server = self.engine(link.server)
            if link.port and link.port not in server.ports:
                raise ConfigurationError(
                    f"{link}: {link.server} has no port {link.port!r}. {nearest(link.port, server.ports)}"
                )

    def engine(self, name: str) -> Engine:
        """The engine of that name; ConfigurationError names those that exist."""
        for engine in self.engines:
            if engine.name == name:
                return engine
        raise ConfigurationError(
            f"no engine is named {name!r}. {nearest(name, (engine.name for engine in self.engines))}"
        )

    def with_engine(self, name: str, **settings: Any) -> Stack:
        """The same stack but for these settings of one engine: ``stack.with_engine("postgres", disk=True)``."""
        changed = self.engine(name)
        try:
            changed = replace(changed, **settings)
        except TypeError:
            known = [field.name for field in fields(changed)]
            wrong = next(iter(settings.keys() - set(known)))
            raise ConfigurationError(f"{name} has no setting {wrong!r}. {nearest(wrong, known)}") from None
        return Stack((changed if engine.name == name else engine for engine in self.engines), self.links)

    def needed(self, names: Iterable[str]) -> tuple[Engine, ...]:
        """The engines of these names and, along the links, all that they need; in the order of the stack."""
        wanted: set[str] = set()
        queue = list(names)
        while queue:
            name = queue.pop()
            if name not in wanted:
                wanted.add(self.engine(name).name)
                queue += [link.server for link in self.links if link.client == name]
        return tuple(engine for engine in self.engines if engine.name in wanted)
