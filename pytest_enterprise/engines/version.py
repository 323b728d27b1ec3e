"""The version that a program tells of itself."""

from __future__ import annotations

import functools
import re
import subprocess
from pathlib import Path


@functools.cache
def of_program(program: Path | None, *arguments: str) -> str:
    """The first thing like a version in what ``program --version`` prints; "unknown" where it prints none."""
    if program is None:
        return "unknown"
    try:
        done = subprocess.run((program, *(arguments or ("--version",))), capture_output=True, text=True, timeout=5)
    except (OSError, subprocess.TimeoutExpired):
        return "unknown"
    told = (done.stdout + done.stderr).replace(str(program), "")  # a path may hold a version of something else
    found = re.search(r"\d+\.\d+(\.\d+)?[\w.~+-]*", told)
    return found.group() if found else "unknown"
