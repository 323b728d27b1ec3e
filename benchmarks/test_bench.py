"""Each part of ``make bench`` as a test with pytest-benchmark: its figures, goals and intervals are in extra_info."""

from __future__ import annotations

import gc
import importlib
import time
from typing import Any

import pytest
from parts import PARTS
from table import Part


@pytest.mark.parametrize("part", PARTS)
def test_part(part: str, benchmark: Any, keep: Any) -> None:
    """It measures what it should; which goals are met is shown, and decides nothing."""
    measure = importlib.import_module(part).measure
    gc.collect()
    began = time.monotonic()
    rows = benchmark.pedantic(measure, rounds=1, iterations=1)
    found = Part(name=part, rows=rows, seconds=time.monotonic() - began)
    keep(found)
    benchmark.group = part
    benchmark.extra_info.update(found.extra_info())
    assert rows
