"""When a toxic acts: on which connections, and on which of the data that they carry."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from pytest_enterprise.proxy.toxics.base import Ending, Stage


@dataclass(frozen=True, kw_only=True)
class Conditions:
    """All of them must hold. Numbers count from the moment at which the toxic came; 0 means no such condition.

    A *chunk* is what was read from the sender at once: on a connection where one side waits for the other it is one
    request, or one answer.
    """

    FIELDS: ClassVar[dict[str, type]] = {
        "first_connections": int,
        "every_connection": int,
        "peer": str,
        "first_chunks": int,
        "every_chunk": int,
        "chunk_share": float,
        "from_byte": int,
        "to_byte": int,
    }

    first_connections: int = 0
    """The first so many connections."""
    every_connection: int = 0
    """Every so-many-th connection."""
    peer: str = ""
    """Connections from this address or network (``10.0.0.0/8``)."""
    first_chunks: int = 0
    """The first so many chunks of a connection and direction."""
    every_chunk: int = 0
    """Every so-many-th chunk."""
    chunk_share: float = 0.0
    """This share of the chunks, drawn from the seed."""
    from_byte: int = 0
    """From this byte of a connection and direction on, the first being 0."""
    to_byte: int = 0
    """Up to and without this byte."""

    def __post_init__(self) -> None:
        """Raises ValueError when the peer is neither address nor network, or when no byte is meant."""
        if self.peer:
            ipaddress.ip_network(self.peer, strict=False)
        if self.to_byte and self.to_byte <= self.from_byte:
            raise ValueError(f"to_byte {self.to_byte} is not above from_byte {self.from_byte}")

    @property
    def of_data(self) -> bool:
        """Whether some chunks may be meant and others not."""
        return bool(self.first_chunks or self.every_chunk or self.chunk_share or self.from_byte or self.to_byte)

    def meet(self, number: int, peer: str) -> bool:
        """Whether the connection with this number, from 1, and this peer address is meant."""
        if self.first_connections and number > self.first_connections:
            return False
        if self.every_connection and number % self.every_connection:
            return False
        return not self.peer or ipaddress.ip_address(peer) in ipaddress.ip_network(self.peer, strict=False)

    def as_dict(self) -> dict[str, int | float | str]:
        """Those that were given."""
        return {name: value for name in self.FIELDS if (value := getattr(self, name))}


ALWAYS = Conditions()


class Gate:
    """Stands before a stage and gives it what the conditions mean; the rest passes it by, order kept."""

    def __init__(self, stage: Stage, conditions: Conditions, random: Random) -> None:
        self._stage = stage
        self._conditions = conditions
        self._random = random
        self._chunks = 0
        self._bytes = 0

    def _meant(self) -> bool:
        wanted = self._conditions
        if wanted.first_chunks and self._chunks > wanted.first_chunks:
            return False
        if wanted.every_chunk and self._chunks % wanted.every_chunk:
            return False
        return not wanted.chunk_share or self._random.random() < wanted.chunk_share

    def data(self, chunk: bytes) -> None:
        start, self._bytes = self._bytes, self._bytes + len(chunk)
        self._chunks += 1
        stage = self._stage
        if not self._meant():
            stage.skip(chunk)
            return
        low = min(max(self._conditions.from_byte - start, 0), len(chunk))
        high = min(max(self._conditions.to_byte - start, 0), len(chunk)) if self._conditions.to_byte else len(chunk)
        for part, act in (
            (chunk[:low], stage.skip),
            (chunk[low:high], stage.data),
            (chunk[max(low, high) :], stage.skip),
        ):
            if part:
                act(part)

    def end(self, how: Ending) -> None:
        self._stage.end(how)
