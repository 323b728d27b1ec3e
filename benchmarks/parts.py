"""The parts of ``make bench``: every module beside this one that has a ``measure()``."""

from __future__ import annotations

import re
from pathlib import Path

PARTS = sorted(
    path.stem
    for path in Path(__file__).parent.glob("*.py")
    if re.search(r"^def measure\(", path.read_text(encoding="utf-8"), re.MULTILINE)
)
