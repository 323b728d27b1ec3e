"""Synthetic request streams with known answers."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pytest_enterprise.load.records import Request
from pytest_enterprise.objectives import Window

SECOND = 1_000_000_000


def make_request(at: float, latency: float = 0.01, error: str = "", name: str = "GET /") -> Request:
    return Request(round(at * SECOND), latency, name, error, 10)


def make_stream(
    seconds: float,
    rate: float = 100,
    *,
    latency: float = 0.01,
    bad: Callable[[float], bool] = lambda at: False,
    error: str = "HTTP 503",
    name: str = "GET /",
) -> list[Request]:
    """One request every ``1 / rate`` seconds from 0; those for whose start ``bad`` is true fail."""
    times = [i / rate for i in range(round(seconds * rate))]
    return [make_request(at, latency, error if bad(at) else "", name) for at in times]


def make_window(began: float, ended: float | None, id: str = "main-1", kind: str = "cut") -> Window:
    return Window(id, kind, "a -> b", round(began * SECOND), None if ended is None else round(ended * SECOND))


@pytest.fixture
def request_at():
    return make_request


@pytest.fixture
def stream():
    return make_stream


@pytest.fixture
def window():
    return make_window
