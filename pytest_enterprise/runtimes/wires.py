"""Our ends of the wires into network namespaces, known by their names: found and removed after a crash.

A wire goes when the last process of its namespace ends; what is found here is one that something still holds. The name
(the device's alias) says who made it.
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from pytest_enterprise.packets.namespace import PREFIX
from pytest_enterprise.packets.tools import ToolFailed, run
from pytest_enterprise.runtimes import proctree

_NAME = "pytest-enterprise-packets-"


def new_name(runtime: str) -> str:
    """A name for a network of this process, and of the runtime with this token."""
    owner = proctree.process(os.getpid())
    return f"{_NAME}{os.getpid()}-{owner.started if owner else 0}-{runtime}-{secrets.token_hex(3)}"


def find_leftovers() -> list[str]:
    """The devices whose makers are gone."""
    found = []
    for path in Path("/sys/class/net").glob(f"{PREFIX}*"):
        try:
            alias = (path / "ifalias").read_text().strip()
        except OSError:
            continue
        parts = alias.removeprefix(_NAME).split("-")
        if not alias.startswith(_NAME) or not parts[0].isdecimal():
            continue
        owner = proctree.process(int(parts[0]))
        if owner is None or owner.gone or str(owner.started) != parts[1]:
            found.append(path.name)
    return found


def remove_leftovers() -> list[str]:
    """Remove what a crash left; a line for each."""
    done = []
    for device in find_leftovers():
        try:
            run("ip", "link", "delete", device)
        except ToolFailed:
            continue  # it went meanwhile
        done.append(f"removed the network device {device}")
    return done
