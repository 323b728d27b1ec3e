"""A commit that nobody hears of."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, get_args

from pytest_enterprise.errors import ConfigurationError, nearest
from pytest_enterprise.faults.base import Proof, positive
from pytest_enterprise.faults.link import Direction, ToxicFault

if TYPE_CHECKING:
    from pytest_enterprise.faults.targets import Chooser

Protocol = Literal["any", "http", "postgres", "grpc"]


@dataclass(frozen=True, kw_only=True)
class CutAnswer(ToxicFault):
    """Breaks the connection once a request that ``match`` means was sent and its answer begins.

    The server has done what was asked, and the client cannot know: an ambiguous commit. ``match`` is a regular
    expression for ``POST /tasks`` (http), ``COMMIT`` (postgres, without TLS) or ``/etcdserverpb.KV/Put`` (grpc); empty
    means every request. Of the requests that it means ``share`` are drawn, and at most ``limit`` answers are cut on
    each link; None is without end.

    With ``match``, connections of postgres and grpc that are open are ended when it begins: what later requests refer
    to (prepared statements, compressed headers) was said at their start.
    """

    kind: ClassVar[str] = "cut_answer"
    toxic: ClassVar[str] = "cut_answer"
    proof: ClassVar[Proof] = "acted"

    protocol: Protocol = "any"
    match: str = ""
    share: float = 1.0
    limit: int | None = None
    direction: Direction = "downstream"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.protocol not in get_args(Protocol):
            raise ConfigurationError(
                f"cut_answer: protocol={self.protocol!r} is unknown. {nearest(str(self.protocol), get_args(Protocol))}"
            )
        positive(self.kind, "share", self.share, limit=1, unit="a share")
        if self.limit is not None:
            positive(self.kind, "limit", self.limit, limit=1e9, unit="answers")
        try:
            re.compile(self.match)
        except re.error as error:
            raise ConfigurationError(f"cut_answer: match={self.match!r} is no regular expression: {error}") from None

    def attributes(self) -> dict[str, Any]:
        return {"protocol": self.protocol, "match": self.match, "share": self.share, "limit": self.limit or 0}

    def begin(self, choose: Chooser, targets: list[str]) -> list[tuple[str, str]]:
        toxics = super().begin(choose, targets)
        if self.protocol in ("grpc", "postgres") and self.match:
            for link in targets:
                choose.stack.proxy.close_connections(link, "fin")
        return toxics

    def acted(self, facts: dict[str, float]) -> bool:
        return facts.get("cut_answers", 0) > 0
