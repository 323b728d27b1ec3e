"""From a program's name to a file that this machine can run, or the reason why not."""

from __future__ import annotations

import errno
import os
import platform
import struct
from pathlib import Path

from pytest_enterprise.engines.base import Engine
from pytest_enterprise.errors import EngineMissing

_MACHINES = {3: "i386", 40: "arm", 62: "x86_64", 183: "aarch64", 243: "riscv64", 21: "ppc64", 22: "s390x"}


def resolve(engine: Engine, program: str) -> Path:
    """The file of a bare program name, as the engine locates it; a name with a slash is taken as it is.

    Raises EngineMissing with the way to get it.
    """
    if "/" in program:
        return Path(program)
    found = engine.locate(program)
    if found is None:
        raise EngineMissing(
            f"{engine.name}: the program {program!r} is neither below .engines/ nor on PATH. {engine.obtain}"
        )
    return found.absolute()


def built_for(path: Path) -> str | None:
    """The machine that an ELF program was built for; None for anything else."""
    try:
        with path.open("rb") as file:
            head = file.read(20)
    except OSError:
        return None
    if len(head) < 20 or head[:4] != b"\x7fELF":
        return None
    (number,) = struct.unpack_from("<H" if head[5] == 1 else ">H", head, 18)
    return _MACHINES.get(number, f"machine type {number}")


def why_not_executable(path: Path, code: int | None) -> str:
    """What stands in the way of running a file, and the way out, for the error code that the kernel gave."""
    here = platform.machine()
    machine = built_for(path)
    if code == errno.ENOEXEC and machine and machine != here:
        return f"it was built for {machine}, and this machine is {here}. Install the {here} build."
    if code == errno.ENOEXEC:
        return "it is neither a program for this machine nor a script with a #! line. Install it again."
    if code == errno.EACCES:
        return f"it is not executable for this user. Run `chmod +x {path}`, or look at the directories above it."
    if code == errno.ENOENT:
        return "it is there, but its interpreter or loader (its #! line, or its libc) is not. Install it again."
    return os.strerror(code) if code else "unknown reason"
