"""Objectives that stand in a file: a group in pyproject.toml, or a document of OpenSLO.

.. code-block:: toml

    [tool.pytest-enterprise.objectives.checkout]
    orders-served = {kind = "Availability", at_least = 0.995, endpoint = "POST /orders"}
    orders-quick = {kind = "Latency", percentile = 99, at_most = 0.25, endpoint = "POST /orders", phase = "before"}

A test judges the group by its name, ``objectives.check("checkout", load=...)``, and a document by its path,
``objectives.check("checkout.slo.yaml", load=...)``. What a test must measure itself (``Fact``, ``Growth``,
``Durability``, ``TimeToDetect``) is written in the test.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pytest_enterprise.errors import ConfigurationError, nearest
from pytest_enterprise.objectives.availability import Availability
from pytest_enterprise.objectives.base import Objective
from pytest_enterprise.objectives.budget import BurnRate, ErrorBudget
from pytest_enterprise.objectives.correctness import Correctness
from pytest_enterprise.objectives.freshness import Freshness
from pytest_enterprise.objectives.latency import Latency
from pytest_enterprise.objectives.recovery import Recovery
from pytest_enterprise.objectives.refusals import Refusals
from pytest_enterprise.objectives.throughput import Throughput

KINDS: Mapping[str, type[Objective]] = {
    kind.__name__: kind
    for kind in (
        Availability,
        BurnRate,
        Correctness,
        ErrorBudget,
        Freshness,
        Latency,
        Recovery,
        Refusals,
        Throughput,
    )
}
_PLACE = "[tool.pytest-enterprise.objectives.{}]"


def read(name: str, root: Path) -> tuple[Objective, ...]:
    """The objectives of the group ``name`` in ``root``'s pyproject.toml, or of the OpenSLO document of that path.

    A path ends in ``.yaml`` or ``.yml`` and is taken from ``root``. Raises ConfigurationError that names the file, the
    place in it, the value and what is allowed there.
    """
    if Path(name).suffix in (".yaml", ".yml"):
        from pytest_enterprise.objectives.openslo import from_openslo

        return from_openslo(root / name)
    return from_pyproject(root / "pyproject.toml", name)


def from_pyproject(path: Path, name: str) -> tuple[Objective, ...]:
    """The group ``name`` of the objectives in a pyproject.toml. Raises ConfigurationError."""
    import tomllib

    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigurationError(
            f"objectives {name!r}: {path} cannot be read ({error.strerror}); write {_PLACE.format(name)} there, or "
            "name an OpenSLO document by its path, ending in .yaml"
        ) from None
    except ValueError as error:
        raise ConfigurationError(f"{path}: cannot be read as TOML: {error}") from None
    groups = document.get("tool", {}).get("pytest-enterprise", {}).get("objectives", {})
    if not isinstance(groups, dict) or not isinstance(groups.get(name), dict):
        known = nearest(name, groups) if isinstance(groups, dict) else "There is none."
        raise ConfigurationError(
            f"{path}: there are no objectives {name!r}. {known} Write {_PLACE.format(name)}, or name an OpenSLO "
            "document by its path, ending in .yaml"
        )
    group = groups[name]
    if not group:
        raise ConfigurationError(f"{path}: {_PLACE.format(name)} holds no objective")
    return tuple(_objective(f"{path}: objectives.{name}.{key}", key, table) for key, table in group.items())


def _objective(where: str, name: str, table: Any) -> Objective:
    if not isinstance(table, dict):
        raise ConfigurationError(
            f'{where}={table!r}; write a table: {name} = {{kind = "Availability", at_least = 0.99}}'
        )
    settings = {key: tuple(value) if isinstance(value, list) else value for key, value in table.items()}
    kind = str(settings.pop("kind", ""))
    if kind not in KINDS:
        raise ConfigurationError(f"{where}: kind={kind!r} is unknown. {nearest(kind, KINDS)}")
    return make(where, KINDS[kind], {"name": name, **settings})


def make(where: str, kind: type[Objective], settings: Mapping[str, Any]) -> Objective:
    """An objective from settings as a file gives them. Raises ConfigurationError that begins with ``where``."""
    fields = {field.name: field for field in dataclasses.fields(kind) if field.init}
    for key in settings:
        if key not in fields:
            raise ConfigurationError(f"{where}: {key!r} is unknown. {nearest(key, fields)}")
    needed = {name for name, field in fields.items() if field.default is dataclasses.MISSING}
    if missing := needed - set(settings):
        raise ConfigurationError(f"{where}: {kind.__name__} needs {', '.join(sorted(missing))}")
    for key in ("name", "endpoint", "phase"):
        if key in settings and not isinstance(settings[key], str):
            raise ConfigurationError(f"{where}: {key}={settings[key]!r} is not a text")
    try:
        return kind(**settings)
    except (ConfigurationError, TypeError) as error:
        raise ConfigurationError(f"{where}: {error}") from None
