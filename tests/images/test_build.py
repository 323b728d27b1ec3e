"""Images: what is chosen and put together, and a build with the daemon where there is one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pytest_enterprise import __version__
from pytest_enterprise.errors import ConfigurationError, EnterpriseError
from pytest_enterprise.images import build, context
from pytest_enterprise.runtimes import container, docker_socket


@pytest.fixture(scope="module")
def base() -> None:
    missing = ""
    if not container.docker_answers():
        missing = f"no Docker daemon answers at {docker_socket.address()}"
    elif not container.image_available(build.tag("python")):
        missing = f"the image {build.tag('python')} is not built; run `pytest-enterprise images`"
    if missing and os.environ.get("CI", "").lower() == "true":
        pytest.fail(f"{missing}, and in CI that is no reason to skip")
    if missing:
        pytest.skip(missing)


def service(folder: Path, dockerfile: str, requirements: str = "") -> None:
    source = folder / "fixtures" / "small_service"
    source.mkdir(parents=True)
    (source / "Dockerfile").write_text(dockerfile)
    (source / "hello.txt").write_text("hello\n")
    if requirements:
        (source / "requirements.txt").write_text(requirements)


def test_every_engine_has_a_recipe(tmp_path: Path) -> None:
    """There is a Dockerfile for every engine, built from the base that is given, and none for a service of others."""
    known = build.recipes(tmp_path)
    assert set(known) == {"python", "etcd", "prometheus", "alertmanager", "envoy", "postgres", "proxy"}
    for recipe in known.values():
        lines = recipe.dockerfile.read_text().splitlines()
        assert lines[1:3] == ["ARG BASE", "FROM ${BASE}"]


def test_services_have_recipes(tmp_path: Path) -> None:
    """A Dockerfile under fixtures/ makes an image of that name, on Python, with the listed wheels."""
    service(tmp_path, "FROM x\n", "# what it needs\nstarlette>=0.40\n\nuvicorn\n")
    recipe = build.recipes(tmp_path)["small-service"]
    assert recipe.wheels == ("starlette>=0.40", "uvicorn")
    assert recipe.on == "python"


def test_chosen_with_what_they_build_on(tmp_path: Path) -> None:
    """Choosing an image chooses what it builds on; discovery is the proxy's image by another name."""
    known = build.recipes(tmp_path)
    assert [r.name for r in build._chosen(known, ["discovery"])] == ["python", "proxy"]
    assert [r.name for r in build._chosen(known, ["etcd"])] == ["etcd"]
    assert len(build._chosen(known, None)) == len(known)
    with pytest.raises(ConfigurationError, match=r"no image 'etdc' can be built. Did you mean 'etcd'\? Known: alertm"):
        build.build(["etdc"], folder=tmp_path)


def test_package_in_the_context(tmp_path: Path) -> None:
    """The package is copied as it is installed here, and tells its version without an installer."""
    context.package(tmp_path)
    assert (tmp_path / "pytest_enterprise" / "proxy" / "__main__.py").is_file()
    assert not list(tmp_path.rglob("__pycache__"))
    code = "import importlib.metadata as m; print(m.version('pytest-enterprise'))"
    told = subprocess.run(
        (sys.executable, "-I", "-c", f"import sys; sys.path.insert(0, {str(tmp_path)!r}); {code}"),
        capture_output=True,
        text=True,
        check=True,
    )
    assert told.stdout.strip() == __version__


def test_same_version_as_the_process_runtime() -> None:
    """Wheels that are installed here are pinned to the same version; others are taken as they come."""
    import importlib.metadata

    assert context.pinned("pytest") == f"pytest=={importlib.metadata.version('pytest')}"
    assert context.pinned("no-such-distribution") == "no-such-distribution"


def test_wheels_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wheels are unpacked without scripts, once: the next build takes them from the cache."""
    calls = []

    def pip(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        calls.append(command)
        target = Path(command[command.index("--target") + 1])
        (target / "bin").mkdir()
        (target / "tool" / "bin").mkdir(parents=True)
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(subprocess, "run", pip)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    first = context.site_packages(["tool"], python="3.11", machine="x86_64", dependencies=False)
    again = context.site_packages(["tool"], python="3.11", machine="x86_64", dependencies=False)
    other = context.site_packages(["tool"], python="3.12", machine="x86_64", dependencies=False)
    assert first == again != other
    assert len(calls) == 2
    assert "--no-deps" in calls[0]
    assert "manylinux_2_36_x86_64" in calls[0]
    assert sorted(str(p.relative_to(first)) for p in first.rglob("*")) == ["tool", "tool/bin"]
    assert [p.name for p in first.parent.iterdir() if p.name.startswith(".")] == []


def test_wheel_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A wheel that pip cannot get is an error with pip's words, and leaves no half-filled cache."""

    def pip(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess(command, 1, "", "ERROR: No matching distribution found for tool")

    monkeypatch.setattr(subprocess, "run", pip)
    with pytest.raises(EnterpriseError, match=r"(?s)could not get tool for Python 3.11.*No matching distribution"):
        context.site_packages(["tool"], python="3.11", machine="x86_64", folder=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_build_of_a_service(base: None, tmp_path: Path) -> None:
    """A service is built on our Python image, labelled, told of with time and size, and runs."""
    service(tmp_path, 'ARG BASE\nFROM ${BASE}\nCOPY hello.txt site/ /srv/\nCMD ["cat", "/srv/hello.txt"]\n')
    told: list[str] = []
    import docker

    client = docker.from_env()
    try:
        assert build.build(["small-service"], folder=tmp_path, tell=told.append)[-1] == build.tag("small-service")
        assert told[-1].startswith(f"built {build.tag('small-service')} in ")
        assert client.images.get(build.tag("small-service")).labels[build.LABEL] == __version__
        assert client.containers.run(build.tag("small-service"), remove=True) == b"hello\n"
        client.images.remove(build.tag("small-service"))
    finally:
        client.close()


def test_build_that_fails(base: None, tmp_path: Path) -> None:
    """A step that fails is shown with the end of its output and the Dockerfile."""
    service(tmp_path, "ARG BASE\nFROM ${BASE}\nRUN echo no more room; exit 9\n")
    with pytest.raises(EnterpriseError, match=r"(?s)small-service:.* could not be built.*no more room.*Dockerfile"):
        build.build(["small-service"], folder=tmp_path, tell=lambda _: None)


def test_base_needs_mmdebstrap(base: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a base image and without mmdebstrap the error names the package and the option."""
    monkeypatch.setattr(build, "BASE", "pytest-enterprise/no-such-base:x")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(EnterpriseError, match=r"apt-get install mmdebstrap.*--base debian:bookworm-slim"):
        build.build(["etcd"], folder=tmp_path, tell=lambda _: None)


@pytest.mark.parametrize("status", [0, 3])
def test_base_from_mmdebstrap(base: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, status: int) -> None:
    """What mmdebstrap writes becomes the base image; when it fails, its words are shown and no image is left."""
    program = tmp_path / "mmdebstrap"
    program.write_text(f"#!/bin/sh\ntar -c -C {tmp_path} content\necho no mirror >&2\nexit {status}\n")
    program.chmod(0o755)
    (tmp_path / "content").write_text("base\n")
    monkeypatch.setattr(build, "BASE", "pytest-enterprise/base-of-test:x")
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    told: list[str] = []
    container.import_testcontainers()
    builder = build.Builder(base=build.BASE, tell=told.append)
    try:
        if status:
            with pytest.raises(EnterpriseError, match=r"(?s)mmdebstrap failed:\nno mirror.*--base"):
                builder.make_base()
            assert not builder.client.images.list(build.BASE)
        else:
            builder.make_base()
            assert builder.client.images.get(build.BASE).labels[build.LABEL] == __version__
            assert told[-1].startswith("made pytest-enterprise/base-of-test:x in ")
            builder.client.images.remove(build.BASE)
    finally:
        builder.close()
