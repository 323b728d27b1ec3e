"""The system's own programs for networks (``ip``, ``tc``, ``nft``): where they are, and how they are run."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

PROGRAMS = {"ip": "iproute2", "tc": "iproute2", "nft": "nftables"}
"""Program to Debian package."""
_FOLDERS = ("usr/sbin", "sbin", "usr/bin", "bin")


class ToolFailed(Exception):
    """A program did not do what it was asked; worded for people."""


def find(program: str) -> tuple[Path, dict[str, str]] | None:
    """Its path and the environment it needs: below ``.engines/`` its libraries lie beside it. None: it is not here."""
    for root in (Path.cwd(), *Path.cwd().parents):
        for folder in _FOLDERS:
            found = root / ".engines" / folder / program
            if found.exists():
                libraries = ":".join(str(path) for path in (root / ".engines").glob("usr/lib/*-linux-*"))
                return found, {**os.environ, "LD_LIBRARY_PATH": libraries}
    path = shutil.which(program, path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin")
    return (Path(path), dict(os.environ)) if path else None


def missing() -> list[str]:
    """The Debian packages of the programs that are not here."""
    return sorted({package for program, package in PROGRAMS.items() if find(program) is None})


def run(program: str, *arguments: str, text: str = "") -> str:
    """What the program prints; ``text`` is its standard input. Raises ToolFailed with what it complains of."""
    found = find(program)
    if found is None:
        raise ToolFailed(f"there is no program {program!r}: apt-get install {PROGRAMS[program]}")
    path, environment = found
    done = subprocess.run((path, *arguments), input=text, env=environment, capture_output=True, text=True)
    if done.returncode:
        said = (done.stderr.strip() or f"exit code {done.returncode}").splitlines()
        raise ToolFailed(f"{program} {' '.join(arguments)}: {said[0]}")
    return done.stdout
