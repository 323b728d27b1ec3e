"""Gets the engines that no wheel carries: ``python -m pytest_enterprise.engines.obtain [DIRECTORY]``.

On Debian and its kin the packages are fetched with ``apt-get download`` and unpacked with ``dpkg -x``: no root is
needed and no daemon is started. Elsewhere each missing program is named with the way to get it.
"""

from __future__ import annotations

import ctypes.util
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

PACKAGES = {
    "etcd": "etcd-server",
    "prometheus": "prometheus",
    "prometheus-alertmanager": "prometheus-alertmanager",
}
"""Program to Debian package."""


LIBRARIES = {"libfuse3.so.3": "libfuse3-3"}
"""Library to Debian package."""


def missing(directory: Path) -> list[str]:
    """The programs and libraries that are neither in ``directory`` nor where this machine has its own."""
    programs = [p for p in PACKAGES if not (directory / "usr/bin" / p).exists() and not shutil.which(p)]
    here = [name for name in LIBRARIES if any(directory.glob(f"**/{name}")) or _installed(name)]
    return [*programs, *(name for name in LIBRARIES if name not in here)]


def _installed(library: str) -> bool:
    name = library.removeprefix("lib").partition(".")[0]
    return ctypes.util.find_library(name) is not None


def _download(packages: list[str], folder: str) -> str | None:
    """Fetch packages into a folder; what apt-get said when it could not."""
    done = subprocess.run(("apt-get", "download", "-qq", *packages), cwd=folder, capture_output=True, text=True)
    return None if done.returncode == 0 else (done.stderr.strip() or "apt-get download failed").splitlines()[-1]


def obtain(directory: Path) -> list[str]:
    """Get what is missing into ``directory``; returns a line for each program that could not be had."""
    wanted = missing(directory)
    if not wanted:
        return []
    if not (shutil.which("apt-get") and shutil.which("dpkg")):
        return [f"{p}: not on this machine, and this is not Debian; put it on PATH" for p in wanted]
    packages = [{**PACKAGES, **LIBRARIES}[p] for p in wanted]
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)  # noqa: PTH101, S103 - apt drops to a user of its own
        problem = _download(packages, folder)
        if problem and os.getuid() == 0:  # the package lists may be missing or old
            subprocess.run(("apt-get", "update", "-qq"), capture_output=True)
            problem = _download(packages, folder)
        if problem:
            return [f"{p}: {problem}. Try: sudo apt-get update" for p in wanted]
        directory.mkdir(parents=True, exist_ok=True)
        for package in Path(folder).glob("*.deb"):
            subprocess.run(("dpkg", "-x", package, directory), check=True)
    return [f"{p}: its package holds no such file" for p in missing(directory)]


def main() -> int:
    directory = Path(sys.argv[1] if len(sys.argv) > 1 else ".engines")
    for line in obtain(directory):
        print(line, file=sys.stderr)  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main())
