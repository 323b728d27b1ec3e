"""The pattern of arrivals that a recording is: its requests at their moments."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from random import Random
from typing import ClassVar

from pytest_enterprise.errors import ConfigurationError
from pytest_enterprise.load import checks, recorded
from pytest_enterprise.load.arrivals import Arrivals

LOCUSTFILE = Path(__file__).parent / "locustfiles" / "replay.py"
"""What sends the requests of a recording."""


@dataclass(frozen=True, kw_only=True)
class Replay(Arrivals):
    """The requests of an access log or a HAR file; for the settings see :func:`recorded.read`."""

    kind: ClassVar[str] = "replay"
    path: str
    speed: float = 1.0
    """2 sends them in half the time."""
    methods: Sequence[str] | None = None
    sort: bool = False
    origin: str | None = None
    secrets: bool = False
    """Whether recorded credentials are sent; they are never written or shown."""

    def __post_init__(self) -> None:
        checks.number("speed", self.speed)
        if isinstance(self.methods, str):
            raise ConfigurationError(f'replay: methods={self.methods!r} is one text; give a list: ["GET", "POST"]')

    @cached_property
    def recording(self) -> recorded.Recording:
        """What is in the file. Raises ConfigurationError."""
        return recorded.read(self.path, methods=self.methods, sort=self.sort, origin=self.origin)

    @property
    def seconds(self) -> float:
        return self.recording.trace(self.speed).seconds

    def times(self, random: Random) -> Iterator[float]:
        return self.recording.trace(self.speed).times(random)
