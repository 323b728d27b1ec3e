"""How a schedule is written, in TOML, before its period begins.

.. code-block:: toml

    name = "nightly"
    from = 2026-01-01T00:00:00Z
    until = 2026-07-01T00:00:00Z
    at = "02:23"                # UTC; the first slot is the first such time in the period
    every = "1d"                # m, h, d or w
    grace = "2h"                # a run that begins later is late
    scenarios = ["scenarios/"]  # beginnings of node ids: each must name a test that ran

    [controls]
    "SOC2:A1.2" = { every = "7d", ttl = "30d" }

``every`` of a control is how often it is to be tested, ``ttl`` how long evidence for it is fresh.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from pytest_enterprise.errors import ConfigurationError, nearest
from pytest_enterprise.evidence.entries import format_time

_KEYS = ("name", "from", "until", "at", "every", "grace", "scenarios", "controls")
_OF_CONTROLS = ("every", "ttl")
_SECONDS = {"m": 60, "h": 3600, "d": 86400, "w": 604800}


def load(path: Path) -> dict[str, Any]:
    """A schedule as the ledger registers it. Raises ConfigurationError that names file, key, value and rule."""
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{path}: cannot be read as TOML: {error}") from None
    _known(document, _KEYS, str(path))
    for key in ("name", "from", "until", "every"):
        if key not in document:
            raise ConfigurationError(f"{path}: {key} is missing; a schedule has name, from, until and every")
    begins, until = (_time(document[key], f"{path}: {key}") for key in ("from", "until"))
    every = seconds(document["every"], f"{path}: every")
    scenarios = document.get("scenarios", [])
    if not isinstance(scenarios, list) or not all(isinstance(one, str) and one for one in scenarios):
        raise ConfigurationError(f'{path}: scenarios={scenarios!r}; give beginnings of node ids, ["scenarios/"]')
    controls = document.get("controls", {})
    if not isinstance(controls, dict):
        raise ConfigurationError(
            f'{path}: controls={controls!r}; write [controls] and "SOC2:A1.2" = {{ every = "7d" }}'
        )
    name = document["name"]
    if not isinstance(name, str) or not name.strip():
        raise ConfigurationError(f"{path}: name={name!r}; give it a name")
    return {
        "name": name,
        "from": format_time(begins),
        "until": format_time(until),
        "first": format_time(_first(begins, document.get("at"), f"{path}: at")),
        "every_seconds": every,
        "grace_seconds": seconds(document["grace"], f"{path}: grace") if "grace" in document else every // 4,
        "scenarios": scenarios,
        "controls": {id: _control(id, value, path) for id, value in controls.items()},
    }


def seconds(text: Any, where: str) -> int:
    """A length of time such as ``30d`` in seconds."""
    found = re.fullmatch(r"(\d+)([mhdw])", text) if isinstance(text, str) else None
    if not found or int(found[1]) == 0:
        raise ConfigurationError(f'{where}: {text!r} is no length of time; write "30m", "2h", "7d" or "1w"')
    return int(found[1]) * _SECONDS[found[2]]


def _control(id: str, value: Any, path: Path) -> dict[str, int]:
    where = f"{path}: control {id!r}"
    if not isinstance(value, dict):
        raise ConfigurationError(f'{where}: {value!r}; write {{ every = "7d", ttl = "30d" }}')
    _known(value, _OF_CONTROLS, where)
    return {f"{key}_seconds": seconds(value[key], f"{where}: {key}") for key in _OF_CONTROLS if key in value}


def _known(table: Mapping[str, Any], keys: tuple[str, ...], where: str) -> None:
    for key in table:
        if key not in keys:
            raise ConfigurationError(f"{where}: unknown key {key!r}. {nearest(key, keys)}")


def _time(value: Any, where: str) -> datetime:
    if not isinstance(value, datetime) or value.tzinfo is None:
        raise ConfigurationError(f"{where}={value!r}; write a time with its zone and no quotes: 2026-01-01T00:00:00Z")
    return value.astimezone(UTC)


def _first(begins: datetime, at: Any, where: str) -> datetime:
    if at is None:
        return begins
    found = re.fullmatch(r"([01]\d|2[0-3]):([0-5]\d)", at) if isinstance(at, str) else None
    if not found:
        raise ConfigurationError(f'{where}={at!r}; write a time of day in UTC: "02:23"')
    first = begins.replace(hour=int(found[1]), minute=int(found[2]), second=0, microsecond=0)
    return first if first >= begins else first + timedelta(days=1)
