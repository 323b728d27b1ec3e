"""Schedules: which fault, on which target, from when and for how long; data that can be kept and played again.

.. code-block:: json

    {"faults": [
        {"at": 2.0, "for": 3.0, "fault": "cut", "target": "shop -> postgres"},
        {"at": 4.0, "for": 1.0, "fault": "latency", "target": "load -> shop", "settings": {"delay": 0.1}}
    ]}

Times are in seconds from the moment at which it is played. :func:`schema` is its JSON schema.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pytest_enterprise.errors import ConfigurationError, nearest
from pytest_enterprise.faults.base import Fault
from pytest_enterprise.faults.catalogue import KINDS

_LONGEST = 86_400.0
_KEYS = ("at", "for", "fault", "target", "settings")


@dataclass(frozen=True)
class Entry:
    """One fault of a schedule; ``at`` and ``lasts`` in seconds."""

    at: float
    lasts: float
    fault: Fault

    def overlaps(self, other: Entry) -> bool:
        """Whether there is a moment at which both are on."""
        return self.at < other.at + other.lasts and other.at < self.at + self.lasts

    def as_dict(self) -> dict[str, Any]:
        return {
            "at": self.at,
            "for": self.lasts,
            "fault": self.fault.kind,
            "target": self.fault.target,
            "settings": self.fault.settings,
        }


@dataclass(frozen=True)
class Schedule:
    """Entries in the order of their beginnings."""

    entries: tuple[Entry, ...]

    @property
    def seconds(self) -> float:
        """From its beginning to the end of its last fault."""
        return max((entry.at + entry.lasts for entry in self.entries), default=0.0)

    def as_dict(self) -> dict[str, Any]:
        """The document that :func:`read` reads."""
        return {"faults": [entry.as_dict() for entry in self.entries]}


def read(source: Schedule | Mapping[str, Any] | str | Path) -> Schedule:
    """A schedule from its document or from a JSON file. Raises ConfigurationError that names the place."""
    if isinstance(source, Schedule):
        return source
    where = "schedule"
    if isinstance(source, (str, Path)):
        where = str(source)
        try:
            source = json.loads(Path(source).read_text(encoding="utf-8"))
        except OSError as error:
            raise ConfigurationError(f"{where}: {error.strerror}") from None
        except ValueError as error:
            raise ConfigurationError(f"{where}: no JSON: {error}") from None
    if not isinstance(source, Mapping) or not isinstance(source.get("faults"), list):
        raise ConfigurationError(f'{where}: a schedule is {{"faults": [...]}}')
    if extra := set(source) - {"faults"}:
        raise ConfigurationError(f"{where}: unknown key {min(extra)!r}; known: faults")
    entries = [_entry(entry, f"{where}: faults[{index}]") for index, entry in enumerate(source["faults"])]
    return Schedule(tuple(sorted(entries, key=lambda entry: entry.at)))


def _entry(document: Any, where: str) -> Entry:
    if not isinstance(document, Mapping):
        raise ConfigurationError(f"{where} is {document!r}; give an object with {', '.join(_KEYS)}")
    if extra := set(document) - set(_KEYS):
        raise ConfigurationError(f"{where}: unknown key {min(extra)!r}. {nearest(min(extra), _KEYS)}")
    at = _seconds(document, "at", where, least=0.0)
    lasts = _seconds(document, "for", where, least=0.001)
    fault = make(document.get("fault"), document.get("target"), document.get("settings", {}), where)
    return Entry(at, lasts, fault)


def _seconds(document: Mapping[str, Any], key: str, where: str, *, least: float) -> float:
    value = document.get(key)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise ConfigurationError(f"{where}: {key}={value!r} is not a number of seconds")
    if not least <= value <= _LONGEST:
        raise ConfigurationError(f"{where}: {key}={value!r} is out of range; give {least:g} to {_LONGEST:g} seconds")
    return float(value)


def make(kind: Any, target: Any, settings: Any, where: str) -> Fault:
    """A fault from its kind, its target and its settings. Raises ConfigurationError."""
    if kind not in KINDS:
        raise ConfigurationError(f"{where}: no fault is named {kind!r}. {nearest(str(kind), KINDS)}")
    if not isinstance(settings, Mapping):
        raise ConfigurationError(f"{where}: settings={settings!r}; give an object")
    known = {field.name: field for field in dataclasses.fields(KINDS[kind]) if field.name != "target"}
    given = dict(settings)
    if kind == "flapping":
        inner = {key: value for key, value in given.items() if key not in ("fault", "on", "off")}
        given = {key: given[key] for key in ("on", "off") if key in given}
        given["inner"] = make(settings.get("fault"), target, inner, f"{where}: flapping")
    elif not isinstance(target, str) and kind != "noop":
        raise ConfigurationError(f"{where}: target={target!r}; name a link or an engine")
    elif kind != "noop":
        given["target"] = target
    if extra := set(given) - set(known) - {"target"}:
        raise ConfigurationError(f"{where}: {kind} has no setting {min(extra)!r}. {nearest(min(extra), known)}")
    missing = [
        name
        for name, field in known.items()
        if name not in given and field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
    ]
    if missing:
        raise ConfigurationError(f"{where}: {kind} needs {', '.join(missing)}")
    try:
        return KINDS[kind](**given)
    except ConfigurationError as error:
        raise ConfigurationError(f"{where}: {error}") from None
    except TypeError as error:
        raise ConfigurationError(f"{where}: {kind}: {error}") from None


def schema() -> dict[str, Any]:
    """The JSON schema of a schedule: its shape, and the kinds and settings of faults."""
    kinds = []
    for kind, cls in KINDS.items():
        fields = {field.name for field in dataclasses.fields(cls)} - {"target"}
        settings: dict[str, Any] = {"type": "object"}
        if kind != "flapping":
            settings |= {"properties": {name: {} for name in sorted(fields)}, "additionalProperties": False}
        kinds.append({"properties": {"fault": {"const": kind}, "settings": settings}})
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A schedule of faults",
        "type": "object",
        "required": ["faults"],
        "additionalProperties": False,
        "properties": {
            "faults": {
                "type": "array",
                "items": {
                    "type": "object",
                    "required": ["at", "for", "fault"],
                    "additionalProperties": False,
                    "properties": {
                        "at": {"type": "number", "minimum": 0, "maximum": _LONGEST},
                        "for": {"type": "number", "minimum": 0.001, "maximum": _LONGEST},
                        "fault": {"enum": list(KINDS)},
                        "target": {"type": "string"},
                        "settings": {"type": "object"},
                    },
                    "oneOf": kinds,
                },
            }
        },
    }
