"""What tests of runtimes share: a run with a TMPDIR of its own, and a run owned by another process."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pytest_enterprise.run import Run
from pytest_enterprise.runtimes import leftovers
from pytest_enterprise.settings import Settings

# Test modules are imported one by one, with no folder of theirs on the path.
sys.path.insert(0, str(Path(__file__).parent))

from tiny_engine import eventually, gone

Owner = tuple[subprocess.Popen[bytes], dict[str, Any]]


@pytest.fixture
def own_tmp(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A TMPDIR of the test's own, so that it sees no other run's registrations and no other run sees its."""
    folder = tmp_path_factory.mktemp("tmp")
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr(tempfile, "tempdir", None)
    return folder


@pytest.fixture
def run(tmp_path: Path, own_tmp: Path) -> Iterator[Run]:
    run = Run(Settings(reports=str(tmp_path / "reports")))
    yield run
    run.events.close()
    run.ports.release()


@pytest.fixture
def owner(tmp_path: Path, own_tmp: Path) -> Iterator[Callable[..., Owner]]:
    """Starts a run of its own process; whatever the test does, nothing of it stays."""
    started: list[Owner] = []

    def begin(*modes: str) -> Owner:
        program = subprocess.Popen(
            (sys.executable, str(Path(__file__).with_name("owner.py")), str(tmp_path / "reports"), *modes),
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        assert program.stdout
        told = json.loads(program.stdout.readline())
        for mode in set(modes) & {"daemon", "child", "sysv", "posix"}:
            mark = Path(told["data"], mode)
            assert eventually(mark.exists)
            told[mode] = mark.read_text()
        started.append((program, told))
        return program, told

    yield begin
    for program, told in started:
        program.kill()
        program.wait()
        assert program.stdout
        program.stdout.close()
        eventually(lambda told=told: gone(told["supervisor"]))
    leftovers.remove_leftovers()
