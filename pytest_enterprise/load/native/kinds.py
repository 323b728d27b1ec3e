"""The protocols of the native engine: how they are asked for, and where the engine has them."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from pytest_enterprise.errors import ConfigurationError
from pytest_enterprise.load.native import grpc_call, postgres_query, redis_command, request
from pytest_enterprise.load.native.grpc_call import GrpcCall
from pytest_enterprise.load.native.postgres_query import PostgresQuery
from pytest_enterprise.load.native.redis_command import RedisCommand
from pytest_enterprise.load.native.request import HttpRequest


class Kind(NamedTuple):
    """One protocol."""

    verb: str
    """The method of ``load`` that asks for it."""
    schemes: tuple[str, ...]
    """How its hosts begin."""
    request: type[Any]
    from_document: Callable[[Any], Any]
    example: str
    """A request as it is written."""
    library: str
    """What it needs, from the extra of the package that has it."""
    extra: str

    @property
    def module(self) -> str:
        """The engine's; pytest never imports it."""
        return f"pytest_enterprise.load.native.{self.verb}"

    def check(self, requests: Any, host: str) -> None:
        """Raises ConfigurationError for what this protocol cannot send, or not there, or not with what is installed."""
        if find_spec(self.library) is None:
            raise ConfigurationError(
                f"load.{self.verb} needs {self.library}, which is not installed: "
                f"pip install 'pytest-enterprise[{self.extra}]'"
            )
        if not requests:
            raise ConfigurationError(f"no request is given; write load.{self.verb}([{self.example}], ...)")
        for each in requests:
            if not isinstance(each, self.request):
                raise ConfigurationError(f"{each!r} is no request of load.{self.verb}; write {self.example}")
        if urlsplit(host).scheme not in self.schemes:
            raise ConfigurationError(
                f"load.{self.verb} cannot speak to a {urlsplit(host).scheme}:// host; give {self.schemes[0]}://HOST:PORT"
            )


KINDS = {
    kind.verb: kind
    for kind in (
        Kind(
            "http",
            ("http", "https"),
            HttpRequest,
            request.from_document,
            'HttpRequest("GET", "/")',
            "httptools",
            "load",
        ),
        Kind(
            "redis",
            ("redis",),
            RedisCommand,
            redis_command.from_document,
            'RedisCommand("GET", "key")',
            "hiredis",
            "redis",
        ),
        Kind(
            "postgres",
            ("postgresql",),
            PostgresQuery,
            postgres_query.from_document,
            'PostgresQuery("SELECT 1")',
            "psycopg",
            "postgres",
        ),
        Kind(
            "grpc",
            ("grpc",),
            GrpcCall,
            grpc_call.from_document,
            'GrpcCall("/shop.Orders/Add", b"...")',
            "grpc",
            "grpc",
        ),
    )
}


def of_host(host: str) -> Kind:
    """The protocol that a host speaks. Raises ConfigurationError when it is none of these."""
    scheme = urlsplit(host).scheme
    for kind in KINDS.values():
        if scheme in kind.schemes:
            return kind
    known = ", ".join(f"{scheme}://" for kind in KINDS.values() for scheme in kind.schemes)
    raise ConfigurationError(f"requests without a locustfile cannot be sent to {scheme}://; there are {known}")
