"""The table of ``make bench``: printed when all parts have run, and kept as ``reports/bench.json``."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

# The modules here are programs too and import one another by their plain names.
sys.path.insert(0, str(Path(__file__).parent))

from table import Part, lines

_PARTS = pytest.StashKey[list[Part]]()


@pytest.fixture
def keep(request: pytest.FixtureRequest) -> Any:
    """Puts a part into the table."""
    return request.config.stash.setdefault(_PARTS, []).append


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    parts = terminalreporter.config.stash.get(_PARTS, [])
    if not parts:
        return
    terminalreporter.section("figures and goals")
    for line, missed in lines(parts):
        terminalreporter.write_line(line, red=missed, bold=missed)
    path = Path(__file__).parents[1] / "reports" / "bench.json"
    path.parent.mkdir(exist_ok=True)
    # One part alone leaves what is known of the others.
    known = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    known.update({part.name: part.rows for part in parts})
    path.write_text(json.dumps(known, indent=2, default=str) + "\n", encoding="utf-8")
    terminalreporter.write_line(f"kept in {path}")
