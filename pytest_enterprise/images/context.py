"""What goes into an image beside its Dockerfile: wheels for the image's Python, and this package."""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from pytest_enterprise import __version__
from pytest_enterprise.errors import EnterpriseError

_GLIBC = range(36, 16, -1)
"""Minor versions of the C library whose wheels run in the base image (Debian 12 has 2.36), newest first."""


def pinned(distribution: str) -> str:
    """The requirement for the version that this machine has, so that both runtimes start the same program."""
    try:
        return f"{distribution}=={importlib.metadata.version(distribution)}"
    except importlib.metadata.PackageNotFoundError:
        return distribution


def cache() -> Path:
    """Where unpacked wheels are kept from one build to the next."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "pytest-enterprise" / "images"


def site_packages(
    requirements: Sequence[str], *, python: str, machine: str, dependencies: bool = True, folder: Path | None = None
) -> Path:
    """A directory with the requirements unpacked for Linux, CPython ``python`` ("3.11") and ``machine`` ("x86_64").

    Raises EnterpriseError with pip's last lines when a wheel cannot be had.
    """
    wanted = "\n".join((python, machine, str(dependencies), *requirements))
    target = (folder or cache()) / hashlib.sha256(wanted.encode()).hexdigest()[:16]
    if target.is_dir():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".partial-") as partial:
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-compile", "--only-binary=:all:"]
        command += ["--target", partial, "--implementation", "cp", "--python-version", python]
        for platform in (*(f"manylinux_2_{minor}_{machine}" for minor in _GLIBC), f"manylinux2014_{machine}"):
            command += ["--platform", platform]
        command += [] if dependencies else ["--no-deps"]
        done = subprocess.run((*command, *requirements), capture_output=True, text=True, check=False)
        if done.returncode:
            told = "\n".join(done.stderr.strip().splitlines()[-5:])
            raise EnterpriseError(
                f"images: pip could not get {', '.join(requirements)} for Python {python} on {machine}:\n{told}\n"
                "The wheels come from the package index that pip is configured for."
            )
        # Scripts for the Python of this machine are of no use in the image.
        shutil.rmtree(Path(partial) / "bin", ignore_errors=True)
        whole = Path(partial).with_suffix(".whole")
        Path(partial).rename(whole)
        Path(partial).mkdir()
        try:
            whole.chmod(0o755)
            whole.rename(target)
        except OSError:  # another build was faster
            shutil.rmtree(whole)
    return target


def package(target: Path) -> None:
    """Put this package, as it is installed here, into ``target``, with metadata that tells its version."""
    source = Path(__file__).parents[1]
    shutil.copytree(source, target / source.name, ignore=shutil.ignore_patterns("__pycache__"))
    metadata = target / f"pytest_enterprise-{__version__}.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: pytest-enterprise\nVersion: {__version__}\n")
