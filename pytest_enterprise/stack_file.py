"""Reads a stack from a file: TOML data, or a Python file with a function ``stack()``."""

from __future__ import annotations

import dataclasses
import runpy
import tomllib
from pathlib import Path
from typing import Any

import pytest_enterprise
from pytest_enterprise.engines.base import Engine
from pytest_enterprise.errors import ConfigurationError, EnterpriseError, nearest
from pytest_enterprise.stack import Link, Stack

KINDS = ("Alertmanager", "Discovery", "Envoy", "Etcd", "External", "Postgres", "Prometheus", "Service")


def load(path: Path) -> Stack:
    """The stack that a file declares.

    In TOML, ``[engines.NAME]`` holds ``kind`` and the engine's settings, and ``links`` lists ``"client -> server"``.
    Raises ConfigurationError with the file, the place and what is allowed there.
    """
    if not path.is_file():
        raise ConfigurationError(f"stack file {path} does not exist; see the setting enterprise_stack")
    return _from_python(path) if path.suffix == ".py" else _from_toml(path)


def _from_python(path: Path) -> Stack:
    try:
        make = runpy.run_path(str(path)).get("stack")
        made = make() if callable(make) else None
    except EnterpriseError:
        raise
    except Exception as error:
        raise ConfigurationError(f"stack file {path} cannot be run: {type(error).__name__}: {error}") from error
    if not isinstance(made, Stack):
        raise ConfigurationError(f"stack file {path} has no function stack() that returns a Stack")
    return made


def _from_toml(path: Path) -> Stack:
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"stack file {path}: {error}") from None
    unknown = set(document) - {"engines", "links"}
    if unknown:
        raise ConfigurationError(
            f"stack file {path}: {sorted(unknown)} is unknown; write [engines.NAME] and links = []"
        )
    engines = [_engine(path, name, table) for name, table in document.get("engines", {}).items()]
    return Stack(engines, [_link(path, text) for text in document.get("links", [])])


def _engine(path: Path, name: str, table: dict[str, Any]) -> Engine:
    where = f"stack file {path}: engines.{name}"
    settings = dict(table)
    kind = str(settings.pop("kind", ""))
    classes = {known.lower(): known for known in KINDS}
    if kind.lower() not in classes:
        raise ConfigurationError(f"{where}: kind={kind!r} is unknown. {nearest(kind, classes)}")
    made: type[Engine] = getattr(pytest_enterprise, classes[kind.lower()])
    fields = {field.name for field in dataclasses.fields(made)} - {"name"}
    for key, value in settings.items():
        if key not in fields:
            raise ConfigurationError(f"{where}: {key!r} is unknown. {nearest(key, fields)}")
        if isinstance(value, list):
            settings[key] = tuple(value)
    try:
        return made(name=name, **settings)
    except TypeError as error:
        raise ConfigurationError(f"{where}: {error}") from None


def _link(path: Path, text: Any) -> Link:
    client, arrow, server = (part.strip() for part in str(text).partition("->"))
    if not (client and arrow and server):
        raise ConfigurationError(f'stack file {path}: link {text!r} is not of the form "client -> server"')
    server, _, port = server.partition(":")
    return Link(client, server, port)
