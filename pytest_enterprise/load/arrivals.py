"""When requests are meant to be sent, whatever the server does: the open loop's side of a load.

A pattern is frozen data with a rate in requests per second over seconds from the start; ``times`` draws the intended
moments from a seed, so the same seed sends at the same moments again.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from itertools import pairwise
from numbers import Real
from random import Random
from typing import Any, ClassVar, NamedTuple

from pytest_enterprise.errors import ConfigurationError, nearest

FASTEST = 1_000_000.0
"""Requests per second beyond which no machine of today gets with one generator."""


class Piece(NamedTuple):
    """A stretch of time in which the rate moves in a straight line."""

    seconds: float
    """May be infinite."""
    first: float
    """Requests per second at its start."""
    last: float
    """Requests per second at its end."""

    def arrivals(self, seconds: float) -> float:
        """How many requests are due in its first ``seconds``."""
        slope = 0.0 if math.isinf(self.seconds) else (self.last - self.first) / self.seconds
        return self.first * seconds + slope * seconds * seconds / 2

    def moment(self, arrivals: float) -> float:
        """The seconds into it at which so many requests were due: the inverse of :meth:`arrivals`."""
        slope = 0.0 if math.isinf(self.seconds) else (self.last - self.first) / self.seconds
        # The form of the quadratic's root that loses no digits when the slope is small, or the start is from rest.
        root = math.sqrt(max(0.0, self.first * self.first + 2 * slope * arrivals))
        return 2 * arrivals / (self.first + root) if self.first + root else math.inf


@dataclass(frozen=True, kw_only=True)
class Arrivals(ABC):
    """A pattern of arrivals."""

    kind: ClassVar[str]

    @abstractmethod
    def times(self, random: Random) -> Iterator[float]:
        """The intended moments in seconds from the start, ascending; endless unless the pattern ends."""

    @property
    @abstractmethod
    def seconds(self) -> float:
        """How long the pattern lasts; infinite for those without an end."""

    def document(self) -> dict[str, Any]:
        """As JSON; :func:`from_document` makes it again."""
        return {"kind": self.kind, **asdict(self)}


@dataclass(frozen=True, kw_only=True)
class Rates(Arrivals):
    """Arrivals by a rate that moves over time."""

    poisson: bool = False
    """Independent arrivals, as of many users who do not know each other, in place of evenly spaced ones."""

    @property
    @abstractmethod
    def pieces(self) -> Sequence[Piece]:
        """The rate, stretch by stretch."""

    @property
    def seconds(self) -> float:
        return sum(piece.seconds for piece in self.pieces)

    def times(self, random: Random) -> Iterator[float]:
        began, due = 0.0, 0.0
        draw = random.expovariate
        # The first of evenly spaced arrivals is at the start itself.
        ahead = draw(1.0) if self.poisson else 0.0
        for piece in self.pieces:
            whole = piece.arrivals(piece.seconds) if math.isfinite(piece.seconds) else math.inf
            steady = piece.first if piece.first == piece.last else 0.0
            while due + ahead < whole:
                due += ahead
                yield began + (due / steady if steady else piece.moment(due))
                ahead = draw(1.0) if self.poisson else 1.0
            ahead -= whole - due
            due = 0.0
            began += piece.seconds


@dataclass(frozen=True, kw_only=True)
class Constant(Rates):
    """``rate`` requests per second, evenly spaced, without an end."""

    kind: ClassVar[str] = "constant"
    rate: float

    def __post_init__(self) -> None:
        _rate(self.kind, "rate", self.rate)

    @property
    def pieces(self) -> Sequence[Piece]:
        return (Piece(math.inf, self.rate, self.rate),)


@dataclass(frozen=True, kw_only=True)
class Poisson(Constant):
    """``rate`` independent requests per second, without an end."""

    kind: ClassVar[str] = "poisson"
    poisson: bool = True


@dataclass(frozen=True, kw_only=True)
class Ramp(Rates):
    """From one rate to another in ``over`` seconds, and then it stays there."""

    kind: ClassVar[str] = "ramp"
    first: float
    last: float
    over: float

    def __post_init__(self) -> None:
        _rate(self.kind, "first", self.first, zero=True)
        _rate(self.kind, "last", self.last)
        _seconds(self.kind, "over", self.over)

    @property
    def pieces(self) -> Sequence[Piece]:
        return (Piece(self.over, self.first, self.last), Piece(math.inf, self.last, self.last))


@dataclass(frozen=True, kw_only=True)
class Step(Rates):
    """Each of the ``rates`` for ``each`` seconds, and then it ends."""

    kind: ClassVar[str] = "step"
    rates: Sequence[float]
    each: float

    def __post_init__(self) -> None:
        if not self.rates:
            raise ConfigurationError("step: rates is empty; give at least one rate")
        for rate in self.rates:
            _rate(self.kind, "rates", rate)
        _seconds(self.kind, "each", self.each)

    @property
    def pieces(self) -> Sequence[Piece]:
        return [Piece(self.each, rate, rate) for rate in self.rates]


@dataclass(frozen=True, kw_only=True)
class Spike(Rates):
    """``rate``, but ``peak`` from ``at`` seconds on for ``lasting`` seconds."""

    kind: ClassVar[str] = "spike"
    rate: float
    peak: float
    at: float
    lasting: float

    def __post_init__(self) -> None:
        for name in ("rate", "peak"):
            _rate(self.kind, name, getattr(self, name))
        for name in ("at", "lasting"):
            _seconds(self.kind, name, getattr(self, name))

    @property
    def pieces(self) -> Sequence[Piece]:
        return (
            Piece(self.at, self.rate, self.rate),
            Piece(self.lasting, self.peak, self.peak),
            Piece(math.inf, self.rate, self.rate),
        )


@dataclass(frozen=True, kw_only=True)
class Trace(Arrivals):
    """Recorded moments, in seconds from the first; ``speed`` 2 replays them in half the time."""

    kind: ClassVar[str] = "trace"
    moments: Sequence[float]
    speed: float = 1.0

    def __post_init__(self) -> None:
        if not self.moments:
            raise ConfigurationError("trace: there is no moment in it, so nothing would be sent")
        if not 0 < self.speed < math.inf:
            raise ConfigurationError(f"trace: speed={self.speed!r} is out of range; give a number above 0")
        for number, moment in enumerate(self.moments, 1):
            if isinstance(moment, bool) or not isinstance(moment, Real) or not math.isfinite(moment):
                raise ConfigurationError(f"trace: entry {number} is {moment!r}, which is no moment; give seconds")
        for number, (earlier, later) in enumerate(pairwise(self.moments), 2):
            if not later >= earlier:
                raise ConfigurationError(
                    f"trace: entry {number} is at {later!r} s, before the one above it ({earlier!r} s); sort it by time"
                )

    @property
    def seconds(self) -> float:
        return (self.moments[-1] - self.moments[0]) / self.speed

    def times(self, random: Random) -> Iterator[float]:  # noqa: ARG002
        first = self.moments[0]
        return ((moment - first) / self.speed for moment in self.moments)


KINDS: dict[str, type[Arrivals]] = {kind.kind: kind for kind in (Constant, Poisson, Ramp, Step, Spike, Trace)}


def from_document(document: Mapping[str, Any]) -> Arrivals:
    """The pattern that :meth:`Arrivals.document` described. Raises ConfigurationError."""
    from pytest_enterprise.load.replayed import Replay

    kinds: dict[str, type[Arrivals]] = {**KINDS, Replay.kind: Replay}
    settings = dict(document)
    kind = str(settings.pop("kind", ""))
    if kind not in kinds:
        raise ConfigurationError(f"arrivals: kind={kind!r}. {nearest(kind, kinds)}")
    known = {field.name for field in fields(kinds[kind])}
    for name in settings:
        if name not in known:
            raise ConfigurationError(f"arrivals: {kind} has no setting {name!r}. {nearest(name, known)}")
    try:
        return kinds[kind](**settings)
    except TypeError as error:
        raise ConfigurationError(f"arrivals: {kind}: {error}") from None


def _rate(kind: str, setting: str, value: Any, *, zero: bool = False) -> None:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not number or not (value >= 0 if zero else value > 0) or value > FASTEST:
        least = "from 0" if zero else "above 0"
        raise ConfigurationError(
            f"{kind}: {setting}={value!r} is no rate; give requests per second {least}, up to {FASTEST:,.0f}"
        )


def _seconds(kind: str, setting: str, value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value <= 86400 * 31:
        raise ConfigurationError(f"{kind}: {setting}={value!r} is out of range; give seconds above 0")
