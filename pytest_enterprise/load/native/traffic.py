"""The parent's side of a load by the native engine: what ``load.http(...)`` gives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pytest_enterprise.errors import ConfigurationError
from pytest_enterprise.load import checks, notation
from pytest_enterprise.load.arrivals import Arrivals
from pytest_enterprise.load.native.kinds import KINDS
from pytest_enterprise.load.traffic import Traffic

CONNECTIONS = 5_000
"""How many connections a load may have when nothing else is said."""


class NativeTraffic(Traffic):
    """One open-loop load; used as any other. Requests count from their intended times."""

    program = "pytest_enterprise.load.native"

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.connections = 0
        """Connections that are open."""

    @property
    def stem(self) -> str:
        return str(urlsplit(self.settings["host"]).scheme)

    @property
    def description(self) -> dict[str, Any]:
        return {
            "arrivals": _short(self.settings["arrivals"]),
            "endpoints": [request["name"] for request in self.settings["requests"]],
        }

    def _take(self, event: dict[str, Any]) -> None:
        self.connections = event.get("connections", self.connections)
        super()._take(event)


def settings(
    verb: str,
    requests: Sequence[Any],
    *,
    arrivals: Arrivals | float | str,
    host: str,
    seconds: float | None,
    seed: int,
    timeout: float,
    connections: int,
    keep_alive: bool = True,
    ca: str | Path | None = None,
) -> dict[str, Any]:
    """What the engine is asked for by ``load.<verb>``, checked. Raises ConfigurationError."""
    KINDS[verb].check(requests, host)
    if not isinstance(keep_alive, bool):
        raise ConfigurationError(f"keep_alive={keep_alive!r} is neither True nor False")
    if ca is not None and not Path(ca).is_file():
        raise ConfigurationError(f"ca={str(ca)!r} does not exist; give a file of certificates in PEM")
    return {
        "requests": [request.document() for request in requests],
        "arrivals": notation.arrivals(arrivals).document(),
        "host": host,
        "seconds": checks.number("seconds", seconds),
        "seed": seed,
        "timeout": checks.number("timeout", timeout),
        "connections": checks.number("connections", connections, whole=True),
        "keep_alive": keep_alive,
        "ca": None if ca is None else str(Path(ca).absolute()),
    }


def _short(arrivals: Mapping[str, Any]) -> dict[str, Any]:
    """A trace is told by its length: its moments are in the records."""
    return {name: len(value) if name == "moments" else value for name, value in arrivals.items()}
