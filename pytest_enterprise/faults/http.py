"""A dependency that misbehaves in HTTP."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, ClassVar

from pytest_enterprise.errors import ConfigurationError
from pytest_enterprise.faults.base import Proof, positive
from pytest_enterprise.faults.link import Direction, ToxicFault


@dataclass(frozen=True, kw_only=True)
class Http(ToxicFault):
    """Answers HTTP/1.1 requests that ``route`` means wrongly, late, or only in part.

    ``route`` is a regular expression for ``GET /tasks?page=2``; empty means every request. ``status`` answers in place
    of the server, with ``body``; ``delay`` (seconds) holds the request back; ``truncate`` passes so many bytes of the
    answer's body and hangs up; ``body`` alone replaces the answer's; ``slow_head`` (seconds) comes between the lines of
    the answer's head.
    """

    kind: ClassVar[str] = "http"
    toxic: ClassVar[str] = "http"
    proof: ClassVar[Proof] = "acted"

    route: str = ""
    status: int | None = None
    delay: float = 0.0
    truncate: int = 0
    body: str = ""
    slow_head: float = 0.0
    direction: Direction = "downstream"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.status is not None and not 200 <= self.status <= 599:
            raise ConfigurationError(f"http: status={self.status!r} is out of range; give one from 200 to 599")
        positive(self.kind, "delay", self.delay, limit=600, unit="seconds", zero=True)
        positive(self.kind, "truncate", self.truncate, limit=1e12, unit="bytes", zero=True)
        positive(self.kind, "slow_head", self.slow_head, limit=600, unit="seconds", zero=True)
        if not (self.status or self.delay or self.truncate or self.body or self.slow_head):
            raise ConfigurationError("http: it would change nothing; give status, delay, truncate, body or slow_head")
        try:
            re.compile(self.route)
        except re.error as error:
            raise ConfigurationError(f"http: route={self.route!r} is no regular expression: {error}") from None

    def attributes(self) -> dict[str, Any]:
        return {
            "route": self.route,
            "status": self.status or 0,
            "delay": round(self.delay * 1000),
            "truncate": self.truncate,
            "body": self.body,
            "slow_head": round(self.slow_head * 1000),
        }

    def acted(self, facts: dict[str, float]) -> bool:
        return facts.get("http_messages", 0) > 0
