"""The table of ``make bench``: which goals rows name, and whether figures meet them."""

import importlib.util
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture(scope="module")
def table():
    spec = importlib.util.spec_from_file_location("_bench_table", HERE / "table.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


@pytest.mark.parametrize(
    ("row", "value", "holds"),
    [
        ("ratio (at least 0.95)", 0.95, True),
        ("ratio (at least 0.95)", "0.94 (0.91 to 0.97)", False),
        ("  ours / HAProxy (at most 1.05)", "1.06 (1.00 to 1.10)", False),
        ("teardown, s (under 3)", 3.0, False),
        ("found / asked (within 0.03)", "0.98", True),
        ("found / asked (within 0.03)", "1.04", False),
        ("achieved / asked (0.999 to 1.001)", 1.0005, True),
        ("achieved / asked (0.999 to 1.001)", 1.002, False),
        ("memory, MB: HAProxy / ours (ours under 60)", "70 / 59", True),
        ("late, ms, p50 / latest (under 5)", "0.4 / 6.1", False),
        ("requests (at least 10,000)", "12,345", True),
        ("share (at least 90 %)", "0.95", True),
        ("share (at least 90 %)", "85 %", False),
        ("report of 10 million (under 60 s)", "41.2 s", True),
        ("haproxy (at least 1)", "not installed", None),
    ],
)
def test_a_goal_is_met_or_missed_or_cannot_be_told(table, row, value, holds):
    assert table.met(table.goal_of(row), value) is holds


@pytest.mark.parametrize("row", ["requests/s", "connections open at once (5,000)", "  goals"])
def test_a_row_without_a_goal_stands_for_itself(table, row):
    assert table.goal_of(row) is None


def test_the_table_has_goals_beside_figures_and_counts_those_missed(table):
    part = table.Part(name="proxy", rows={"cost (at most 1.2)": 1.5, "rate (at least 1)": 2.0, "pairs": 5}, seconds=3)
    shown = list(table.lines([part]))
    assert [missed for _, missed in shown] == [False, True, False, False, True]
    assert "at most 1.2" in shown[1][0]
    assert "missed" in shown[1][0]
    assert shown[-1][0] == "1 of 2 goals met; 3 s in all"


def test_extra_info_holds_goals_and_intervals(table):
    info = table.Part(name="x", rows={"cost (at most 1.2)": "1.1 (1.0 to 1.3)"}, seconds=1).extra_info()
    assert info["goals"]["cost (at most 1.2)"]["met"] is True
    assert info["intervals"]["cost (at most 1.2)"] == [1.1, 1.0, 1.3]


def test_every_part_can_be_asked_for():
    names = {path.stem for path in HERE.glob("*.py") if "def measure(" in path.read_text()}
    assert {"proxy", "load", "idle", "stack", "compare"} <= names
