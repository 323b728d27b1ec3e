"""``pytest-enterprise load`` without a locustfile, by the native engine: ``--get /path``, ``--requests FILE.json``."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_enterprise.errors import ConfigurationError
from pytest_enterprise.load import checks, notation
from pytest_enterprise.load.native import kinds
from pytest_enterprise.load.native.request import HttpRequest

if TYPE_CHECKING:
    from pytest_enterprise.load.generator import Load
    from pytest_enterprise.load.native.traffic import NativeTraffic

_OF_USERS = ("users", "rate", "spawn_rate", "web", "option")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what makes a load one of the native engine, and what it takes."""
    group = parser.add_argument_group("in place of a locustfile, with --arrivals")
    group.add_argument("--get", action="append", default=[], metavar="PATH", help="GET this path; may be repeated")
    group.add_argument(
        "--requests",
        metavar="FILE",
        help='a JSON list: [{"method": "POST", "path": "/", "json": ...}], '
        '[{"words": ["GET", "key"]}] to redis://, [{"statement": "SELECT 1"}] to postgresql://, '
        '[{"method": "/shop.Orders/Add", "base64": "..."}] to grpc://',
    )
    group.add_argument("--ca", metavar="FILE", help="the certificates to trust, for https")


def asked(arguments: argparse.Namespace) -> bool:
    """Whether the load is one of the native engine. Raises ConfigurationError for what does not go together."""
    chosen = bool(arguments.get or arguments.requests)
    if not chosen:
        if not arguments.locustfile:
            raise ConfigurationError("nothing to send; give a locustfile, --get PATH, --requests FILE or --replay FILE")
        return False
    way = "--get" if arguments.get else "--requests"
    if arguments.locustfile:
        raise ConfigurationError(f"{way} and locustfile {arguments.locustfile!r} are two loads; give one of them")
    if arguments.arrivals is None:
        raise ConfigurationError(f"{way} needs --arrivals, such as --arrivals 50")
    for name in _OF_USERS:
        if getattr(arguments, name):
            raise ConfigurationError(f"--{name.replace('_', '-')} is for a locustfile; with {way}, leave it out")
    return True


def checked(arguments: argparse.Namespace) -> Callable[[Load], NativeTraffic]:
    """What makes the load, when all that is asked for can be. Raises ConfigurationError."""
    host = checks.host(arguments.host)
    kind = kinds.of_host(host)
    requests: list[Any] = [HttpRequest("GET", path) for path in arguments.get]
    wanted: dict[str, Any] = {
        "arrivals": notation.arrivals(arguments.arrivals),
        "host": host,
        "seconds": checks.number("seconds", arguments.seconds),
    }
    if kind.verb == "http":
        wanted["ca"] = arguments.ca
    else:
        for option in ("get", "ca"):
            if getattr(arguments, option):
                raise ConfigurationError(f"--{option} is for HTTP; to {host.partition(':')[0]}:// send --requests FILE")
    if arguments.requests:
        requests += [kind.from_document(entry) for entry in _read(Path(arguments.requests))]
    return lambda load: getattr(load, kind.verb)(requests, **wanted)


def _read(path: Path) -> list[Any]:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"--requests {path} cannot be read: {error}") from None
    if not isinstance(document, list):
        raise ConfigurationError(f'--requests {path} is no list; write [{{"method": "GET", "path": "/"}}]')
    return document
