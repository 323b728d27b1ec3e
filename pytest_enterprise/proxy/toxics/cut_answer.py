"""Cuts a connection after a request was sent and the server has begun to answer, so that the client never knows.

``protocol`` is ``any``, ``http``, ``postgres`` or ``grpc``; requests that ``match``, a regular expression, are meant
(all when it is empty), ``share`` of them drawn from the seed (0: each), and at most ``limit`` answers are cut (0:
without end).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, ClassVar

from pytest_enterprise.proxy.requests import PROTOCOLS
from pytest_enterprise.proxy.toxics.base import Ending, Stage


class CutAnswer(Stage):
    """An ambiguous commit: what was asked for is done, and whoever asked sees a broken connection."""

    kind = "cut_answer"
    fields: ClassVar = {"protocol": str, "match": str, "share": float, "limit": int}
    both = True

    @classmethod
    def problem(cls, attributes: Mapping[str, Any]) -> str:
        protocol = attributes.get("protocol") or "any"
        if protocol not in PROTOCOLS:
            return f"protocol {protocol!r} is unknown; known: {', '.join(PROTOCOLS)}"
        try:
            re.compile(attributes.get("match", ""))
        except re.error as error:
            return f"match is no regular expression: {error}"
        return ""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._shared = self.carrier.shared(self.toxic)
        self._random = self.carrier.randomness(f"{self.toxic.name}/share")
        if self.carrier.upstream:
            view = PROTOCOLS.get(self.setting("protocol") or "any", PROTOCOLS["any"])
            self._shared |= {"view": view(fresh=self.carrier.fresh), "waits": False}

    def data(self, chunk: bytes) -> None:
        self.count(chunk)
        if self.carrier.upstream:
            for request in self._shared["view"].requests(chunk):
                if re.search(self.setting("match"), request) and self._drawn():
                    self._shared["view"].wait()
                    self._shared["waits"] = True
            self.next.data(chunk)
        elif self._shared["waits"] and self._may_cut() and self._shared["view"].answered(chunk):
            self.toxic.counters.dropped_bytes += len(chunk)
            self.toxic.counters.more["cut_answers"] += 1
            self.carrier.close(reset=True)
        else:
            self.next.data(chunk)

    def _drawn(self) -> bool:
        share: float = self.setting("share")
        return not share or self._random.random() < share

    def _may_cut(self) -> bool:
        limit: int = self.setting("limit")
        return not limit or self.toxic.counters.more["cut_answers"] < limit

    def end(self, how: Ending) -> None:
        self.next.end(how)
