"""The system's own programs for networks (``ip``, ``tc``, ``nft``): where they are, and how they are run."""

from __future__ import annotations

import os
import shutil
import subprocess

PROGRAMS = {"ip": "iproute2", "tc": "iproute2", "nft": "nftables"}
"""Program to Debian package."""


class ToolFailed(Exception):
    """A program did not do what it was asked; worded for people."""


def find(program: str) -> str | None:
    """Its path; they are for root, and lie where only root looks."""
    return shutil.which(program, path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin")


def missing() -> list[str]:
    """The Debian packages of the programs that are not here."""
    return sorted({package for program, package in PROGRAMS.items() if find(program) is None})


def run(program: str, *arguments: str, text: str = "") -> str:
    """What the program prints; ``text`` is its standard input. Raises ToolFailed with what it complains of."""
    path = find(program)
    if path is None:
        raise ToolFailed(f"there is no program {program!r}: apt-get install {PROGRAMS[program]}")
    done = subprocess.run((path, *arguments), input=text, capture_output=True, text=True)
    if done.returncode:
        said = (done.stderr.strip() or f"exit code {done.returncode}").splitlines()
        raise ToolFailed(f"{program} {' '.join(arguments)}: {said[0]}")
    return done.stdout
