"""The disk under one instance's data directory, as a program that the stack starts before the instance."""

from __future__ import annotations

import asyncio
import ctypes.util
import importlib.util
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from pytest_enterprise.engines import control_socket
from pytest_enterprise.engines.base import Engine, Launch, Site
from pytest_enterprise.errors import FaultFailed


def why_not() -> str | None:
    """Why this machine can have no such disk, and the way out; None when it can."""
    if importlib.util.find_spec("mfusepy") is None:
        return "disks with faults need mfusepy: pip install 'pytest-enterprise[disk]'"
    if not Path("/dev/fuse").exists():
        return "disks with faults need FUSE, and this machine has no /dev/fuse: modprobe fuse"
    roots = (Path.cwd(), *Path.cwd().parents)
    if not ctypes.util.find_library("fuse3") and not any(any(r.glob(".engines/**/libfuse3.so.3")) for r in roots):
        way = "python -m pytest_enterprise.engines.obtain, or apt-get install libfuse3-3"
        return f"disks with faults need libfuse3: {way}"
    if os.geteuid() and not os.access("/usr/bin/fusermount3", os.X_OK):
        return "disks with faults need root, or fusermount3: apt-get install fuse3"
    return None


@dataclass(frozen=True, kw_only=True)
class DiskDrive(Engine):
    """Passes on to ``backing`` what is done below ``mountpoint``, but for what its faults say."""

    kind: ClassVar[str] = "disk"

    backing: str
    mountpoint: str
    mounted_as: str
    """The name that the kernel shows, and that its control socket has."""

    @property
    def ports(self) -> Mapping[str, int]:
        return {}

    def locate(self, program: str) -> Path | None:
        return Path(program) if Path(program).is_absolute() else super().locate(program)

    def launch(self, site: Site) -> Launch:
        Path(self.backing).mkdir(exist_ok=True)
        return Launch(
            command=(
                *(sys.executable, "-m", "pytest_enterprise.disk"),
                *(self.backing, self.mountpoint, self.mounted_as, str(site.seed)),
            ),
            stop_timeout=2,
        )

    async def ready(self, site: Site) -> str | None:  # noqa: ARG002
        return await asyncio.to_thread(self._ready)

    def _ready(self) -> str | None:
        if not os.path.ismount(self.mountpoint):
            return f"{self.mountpoint} is not mounted"
        try:
            self.ask("counters")
        except FaultFailed as error:
            return str(error)
        return None

    def ask(self, do: str, **fields: Any) -> dict[str, Any]:
        """One request to the running program. Raises FaultFailed."""
        return control_socket.ask(self.mounted_as, f"the disk {self.name}", do, **fields)
