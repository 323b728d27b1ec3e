"""The catalogue as data, for forms and other programs: each kind's settings, and what of a stack it can act on."""

from __future__ import annotations

import dataclasses
import inspect
import types
import typing
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

from pytest_enterprise.errors import ConfigurationError
from pytest_enterprise.faults.base import Fault
from pytest_enterprise.faults.catalogue import KINDS
from pytest_enterprise.faults.clock import Clock
from pytest_enterprise.faults.disk import DiskFault
from pytest_enterprise.faults.dns import Dns
from pytest_enterprise.faults.engine import EngineFault
from pytest_enterprise.faults.link import LinkFault
from pytest_enterprise.faults.noop import Noop
from pytest_enterprise.faults.packets import Packets
from pytest_enterprise.faults.partition import Silence
from pytest_enterprise.faults.power_failure import PowerFailure
from pytest_enterprise.faults.repeating import Flapping
from pytest_enterprise.faults.topology import Topology
from pytest_enterprise.running import RunningStack
from pytest_enterprise.stack import LOAD

_TYPES: dict[str, tuple[tuple[type, ...], str]] = {
    "number": ((int, float), "a number"),
    "integer": ((int,), "a whole number"),
    "text": ((str,), "a text"),
    "boolean": ((bool,), "true or false"),
    "list": ((list, tuple), "a list of names"),
    "object": ((Mapping,), "an object"),
}
_UNITS = {
    **dict.fromkeys(("after", "delay", "down_for", "gap", "jitter", "off", "offset", "on", "slow_head", "up"), "s"),
    **dict.fromkeys(("bytes", "memory.more", "size", "truncate"), "bytes"),
    **dict.fromkeys(("duplicate", "packets.loss", "probability", "reorder", "share"), "0 to 1"),
    "bandwidth.rate": "kB/s",
    "clock.rate": "s per s",
    "cpu.share": "CPUs",
}
"""By setting, or by kind and setting where the same word means several things."""


class Setting(NamedTuple):
    """One setting of a kind of fault."""

    name: str
    type: str
    """``number``, ``integer``, ``text``, ``boolean``, ``list`` (of texts) or ``object``."""
    required: bool
    default: Any
    """None where there is none, or where it is None."""
    choices: tuple[str, ...] = ()
    """All that it may be; empty for no such limit."""
    nullable: bool = False
    """May be left empty, which means without limit."""
    unit: str = ""


def settings(kind: str) -> tuple[Setting, ...]:
    """The settings of a kind, but for its target: what it needs first, and last what faults on links have in common."""
    cls = KINDS[kind]
    hints = typing.get_type_hints(cls)
    found = [_setting(kind, field, hints[field.name]) for field in dataclasses.fields(cls) if field.name != "target"]
    return tuple(sorted(found, key=lambda setting: (not setting.required, ("direction", "when").count(setting.name))))


def _setting(kind: str, field: dataclasses.Field[Any], hint: Any) -> Setting:
    nullable = isinstance(hint, types.UnionType) and type(None) in typing.get_args(hint)
    if nullable:
        hint = next(part for part in typing.get_args(hint) if part is not type(None))
    choices: tuple[str, ...] = ()
    if typing.get_origin(hint) is Literal:
        choices, hint = typing.get_args(hint), str
    origin = typing.get_origin(hint) or hint
    names = {float: "number", int: "integer", str: "text", bool: "boolean", Sequence: "list", Mapping: "object"}
    default = None if field.default is dataclasses.MISSING else field.default
    if field.default_factory is not dataclasses.MISSING:
        default = field.default_factory()
    required = field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
    unit = _UNITS.get(f"{kind}.{field.name}", _UNITS.get(field.name, ""))
    return Setting(field.name, names.get(origin, "object"), required, default, choices, nullable, unit)


def check_types(kind: str, given: Mapping[str, Any]) -> None:
    """Raise ConfigurationError for the first value of ``given`` that is of another type than its setting."""
    for setting in settings(kind):
        value = given.get(setting.name)
        if setting.name not in given or (value is None and setting.nullable):
            continue
        wanted, words = _TYPES[setting.type]
        wrong_bool = isinstance(value, bool) and setting.type != "boolean"
        if wrong_bool or not isinstance(value, wanted) or (setting.type == "list" and not _texts(value)):
            raise ConfigurationError(f"{kind}: {setting.name}={value!r} is not {words}")


def _texts(value: Any) -> bool:
    return all(isinstance(item, str) for item in value)


def describe(running: RunningStack) -> list[dict[str, Any]]:
    """Every kind that can act on something of this stack: its words, its settings and its targets.

    ``flapping`` is told with the settings ``fault``, ``on`` and ``off``: those of the fault that it repeats come beside
    them, as in a schedule.
    """
    found = []
    for kind, cls in KINDS.items():
        reach = targets(cls, running)
        if not reach and cls is not Noop:
            continue
        own = settings(kind)
        if cls is Flapping:
            fault = Setting("fault", "text", required=True, default=None, choices=_repeatable(running))
            own = (fault, *(setting for setting in own if setting.name != "inner"))
        found.append(
            {
                "kind": kind,
                "about": inspect.cleandoc(cls.__doc__ or ""),
                "on": _on(cls),
                "targets": reach,
                "settings": [setting._asdict() for setting in own],
            }
        )
    return found


def _on(cls: type[Fault]) -> str:
    """What its targets are: ``link``, ``engine``, ``cluster`` or ``nothing``."""
    if cls is Noop:
        return "nothing"
    if issubclass(cls, Silence):
        return "cluster"
    return "engine" if issubclass(cls, EngineFault) else "link"


def _repeatable(running: RunningStack) -> tuple[str, ...]:
    return tuple(
        kind
        for kind, cls in KINDS.items()
        if issubclass(cls, LinkFault) and not issubclass(cls, Silence) and targets(cls, running)
    )


def targets(cls: type[Fault], running: RunningStack) -> list[str]:
    """Names that a fault of this kind can be given as its target, whole engines before their instances."""
    if issubclass(cls, Silence):
        engines = [engine.name for engine in running.spec.engines if _joined(running, engine.name)]
        return [name for name in engines if cls is not Topology or len(running.resolve_instances(name)) > 1]
    if cls is Flapping or issubclass(cls, LinkFault):
        return _links(running)
    if not issubclass(cls, EngineFault):
        return []
    needs = "disk" if issubclass(cls, (DiskFault, PowerFailure)) else ""
    needs = "names" if issubclass(cls, Dns) else "clock" if issubclass(cls, Clock) else needs
    needs = "packets" if issubclass(cls, Packets) else needs
    names: list[str] = []
    for engine in running.spec.engines:
        if engine.url or (needs and not getattr(engine, needs)):
            continue
        names += dict.fromkeys([engine.name, *running.resolve_instances(engine.name)])
    return names


def _joined(running: RunningStack, engine: str) -> bool:
    instances = set(running.resolve_instances(engine))
    return any({link.client, link.server} & instances and link.client != LOAD for link in running.links.values())


def _links(running: RunningStack) -> list[str]:
    """The links by engines first, which mean those of all their instances, and then one by one."""
    if not running.links:
        return []
    declared = [f"{link.client} -> {link.server}" for link in running.spec.links]
    reached = [name for name in declared if _resolves(running, name)]
    return list(dict.fromkeys([*reached, *running.links]))


def _resolves(running: RunningStack, link: str) -> bool:
    try:
        return bool(running.resolve_links(link))
    except ConfigurationError:
        return False
