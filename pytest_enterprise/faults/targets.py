"""Which instances and links a fault means: by name, by selection, or by label.

``etcd`` is every instance of the engine and ``etcd-2`` one of them. ``etcd:leader`` is who leads when the fault begins,
``etcd:followers`` all others; ``etcd:one``, ``:minority``, ``:majority`` and ``:random`` (any number of them) are drawn
from the run's seed, ``:all`` is all. ``zone=a`` is every instance with that label. Each side of a link may be written
so: ``gateway -> agent-service:one``.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import TYPE_CHECKING, TypeVar

from pytest_enterprise.errors import ConfigurationError, nearest
from pytest_enterprise.stack import LOAD

if TYPE_CHECKING:
    from pytest_enterprise.live import LiveStack

T = TypeVar("T")
SELECTIONS = ("all", "followers", "leader", "majority", "minority", "one", "primary", "random")


class Chooser:
    """Finds what a target means on a running stack.

    Without ``random`` nothing is drawn and nobody is asked, so that a target can be checked before its engines run: a
    selection then means every instance that it may be.
    """

    def __init__(self, stack: LiveStack, random: Random | None) -> None:
        self.stack = stack
        self._random = random
        self._chosen: dict[str, list[str]] = {}
        self._orders: dict[tuple[str, ...], list[str]] = {}

    @property
    def checking(self) -> bool:
        """Whether targets are only checked, so that a selection means all that it may be."""
        return self._random is None

    def shuffled(self, names: list[str]) -> list[str]:
        """The names in an order that is drawn, the same one for the same names."""
        key = tuple(names)
        if key not in self._orders:
            self._orders[key] = self._random.sample(names, len(names)) if self._random else names
        return self._orders[key]

    def sample(self, things: Sequence[T], count: int) -> list[T]:
        """So many of the things, drawn from the run's seed; the first ones while targets are only checked."""
        return self._random.sample(things, count) if self._random else list(things[:count])

    def instances(self, target: str) -> list[str]:
        """The instances that ``target`` means, the same ones however often it is asked."""
        if target not in self._chosen:
            self._chosen[target] = self._choose(target)
        return self._chosen[target]

    def _choose(self, target: str) -> list[str]:
        running = self.stack.running
        if "=" in target:
            label, _, value = target.partition("=")
            return running.labelled(label, value)
        name, colon, selection = target.partition(":")
        if not colon:
            return running.resolve_instances(name)
        if selection not in SELECTIONS:
            raise ConfigurationError(f"{target}: {selection!r} selects nothing. {nearest(selection, SELECTIONS)}")
        names = running.resolve_instances(name)
        if selection in ("leader", "followers", "primary") and self._random:
            leader = self.stack.portal.call(running.leader(name))
            return [leader] if selection != "followers" else [one for one in names if one != leader]
        if self._random is None or selection == "all":
            return names
        count = {
            "one": 1,
            "minority": (len(names) - 1) // 2,
            "majority": len(names) // 2 + 1,
            "random": self._random.randint(1, len(names)),
        }[selection]
        if not count:
            raise ConfigurationError(f"{target}: {len(names)} instances have no minority; name one, or add instances")
        return sorted(self._random.sample(names, count), key=names.index)

    def links(self, target: str) -> list[str]:
        """The links that ``target`` means."""
        if not (":" in target or "=" in target):
            return [link.name for link in self.stack.running.resolve_links(target)]
        client, arrow, server = (side.strip() for side in target.partition("->"))
        if not arrow:
            raise ConfigurationError(f"no link is named {target!r}. {nearest(target, self.stack.running.links)}")
        clients, servers = (self._side(side) for side in (client, server))
        found = [
            link.name for link in self.stack.running.links.values() if link.client in clients and link.server in servers
        ]
        if not found:
            raise ConfigurationError(f"no link is named {target!r}. {nearest(target, self.stack.running.links)}")
        return found

    def _side(self, side: str) -> list[str]:
        return [LOAD] if side == LOAD else self.instances(side)
