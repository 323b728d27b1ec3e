from __future__ import annotations

import asyncio
import json
import mmap
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tiny_engine import Tiny, ask, eventually, gone, opened, start

from pytest_enterprise.errors import ConfigurationError
from pytest_enterprise.run import Run
from pytest_enterprise.runtimes import leftovers, proctree

Owner = tuple[subprocess.Popen[bytes], dict[str, Any]]


def lose(program: Any, told: dict[str, Any]) -> None:
    """SIGKILL the owner and the supervisor, so that the latter cannot act."""
    os.kill(told["supervisor"], signal.SIGSTOP)
    program.kill()
    program.wait()
    os.kill(told["supervisor"], signal.SIGKILL)
    assert eventually(lambda: gone(told["supervisor"]))


def test_found_and_removed(owner: Callable[..., Owner]) -> None:
    """What is left when owner and supervisor got SIGKILL is found and removed, a line each; then nothing is left."""
    program, told = owner("daemon", "sysv", "posix", "deaf")
    main, daemon = int(told["main"]), int(told["daemon"])
    lose(program, told)
    assert not gone(main)
    found = leftovers.find_leftovers()
    assert {one.target for one in found if one.kind == "process"} == {main, daemon}
    assert {one.run for one in found} == {told["run"]}
    assert f"directory {told['temporary']} of run {told['run']}" in map(str, found)
    lines = leftovers.remove_leftovers()
    assert gone(main)
    assert gone(daemon)
    assert not Path(told["posix"]).exists()
    assert int(told["sysv"]) not in {s.id for s in proctree.segments()}
    assert not Path(told["temporary"]).exists()
    said = "\n".join(lines)
    assert f"ended process {main} (" in said
    assert f"ended process {daemon} (" in said
    assert f"removed shared memory {told['sysv']} (4096 bytes) of run {told['run']}" in said
    assert len(lines) == 4
    assert leftovers.find_leftovers() == []
    assert leftovers.remove_leftovers() == []


def test_memory_of_the_dead_is_found(owner: Callable[..., Owner]) -> None:
    """A SysV segment is found by its maker's id even when no process of the run lives any more."""
    program, told = owner("sysv")
    lose(program, told)
    os.kill(int(told["main"]), signal.SIGKILL)
    assert eventually(lambda: gone(int(told["main"])))
    assert any(one.kind == "shared memory" for one in leftovers.find_leftovers())
    leftovers.remove_leftovers()
    assert int(told["sysv"]) not in {s.id for s in proctree.segments()}


def test_next_run_removes(owner: Callable[..., Owner], run: Run) -> None:
    """A run that opens removes what a dead one left."""
    program, told = owner()
    lose(program, told)

    async def body() -> None:
        async with opened(run):
            assert gone(int(told["main"]))

    asyncio.run(body())


def test_living_runs_are_left_alone(run: Run) -> None:
    """Nothing of a run whose owner lives is found, let alone removed."""

    async def body() -> None:
        async with opened(run) as runtime:
            _, site = await start(runtime, Tiny())
            assert leftovers.find_leftovers() == []
            assert leftovers.remove_leftovers() == []
            await ask(site.host["main"])

    asyncio.run(body())


def _change(registration: leftovers.Registration, **changes: Any) -> None:
    registration.path.write_text(json.dumps({**json.loads(registration.path.read_text()), **changes}) + "\n")


@pytest.mark.parametrize(
    ("changes", "dead"),
    [
        ({}, False),
        ({"pid": 2**22 - 1}, True),
        ({"started": 1}, True),
        ({"boot": "before"}, True),
        ({"boot": "elsewhere", "host": "elsewhere"}, False),
        ({"started": 1, "namespace": "pid:[1]"}, False),
    ],
    ids=["alive", "no-process", "another-process", "rebooted", "another-machine", "another-namespace"],
)
def test_who_is_dead(run: Run, tmp_path: Path, changes: dict[str, Any], dead: bool) -> None:
    """A run is dead when its owner is; one that cannot be judged from here is not."""
    registration = leftovers.Registration(run, tmp_path / "none")
    _change(registration, **changes)
    assert [one.run for one in leftovers.dead_runs()] == [run.id] * dead
    registration.remove()
    assert leftovers.dead_runs() == []


def test_one_of_two_owners_lives(run: Run, tmp_path: Path) -> None:
    """A run of several workers is dead only when all of them are."""
    first, second = (leftovers.Registration(run, tmp_path / name) for name in "ab")
    _change(first, started=1)
    assert leftovers.dead_runs() == []
    _change(second, started=1)
    assert len(leftovers.dead_runs()) == 2


def test_unreadable_registrations(run: Run, tmp_path: Path) -> None:
    """A registration that a crash cut short loses its last line only; one that is not ours is skipped."""
    registration = leftovers.Registration(run, tmp_path / "none")
    _change(registration, started=1)
    with registration.path.open("a") as file:
        file.write('{"process": 123456, "at": 1.0}\n{"process": 12')
    (registration.path.parent / "empty.json").write_text("")
    (registration.path.parent / "other.json").write_text("[1}")
    (dead,) = leftovers.dead_runs()
    assert list(dead.makers) == [123456]


def test_folder_of_somebody_else(run: Run, own_tmp: Path, tmp_path: Path) -> None:
    """Registrations in a folder that is not ours would tell us what to delete: refused."""
    (own_tmp / f"pytest-enterprise-runs-{os.getuid()}").symlink_to(tmp_path)
    with pytest.raises(ConfigurationError, match=r"belongs to somebody else.*TMPDIR"):
        leftovers.Registration(run, tmp_path)


def test_shared_memory_of_others_stays() -> None:
    """Shared memory that is older than the run, or that somebody still has mapped, is not removed."""
    path = Path(f"/dev/shm/pytest-enterprise-test-{os.getpid()}")
    path.write_bytes(bytes(4096))
    try:
        with path.open("r+b") as file, mmap.mmap(file.fileno(), 4096):
            assert str(path) in proctree.mapped_files([os.getpid()])
            assert proctree.remove_mapped([str(path)], since=time.time() - 5) == []
        assert proctree.remove_mapped([str(path)], since=time.time() + 60) == []
        assert proctree.remove_mapped([str(path)], since=time.time() - 5) == [str(path)]
        assert proctree.remove_mapped([str(path)], since=time.time() - 5) == []
    finally:
        path.unlink(missing_ok=True)


def test_segments_are_matched_by_maker_and_time() -> None:
    """A segment counts as made by a process only within that process's lifetime, and once it is gone."""
    segment = proctree.Segment(7, 2**22 - 1, 4096, 1000)
    original = proctree.segments
    proctree.segments = lambda: [segment]
    try:
        assert proctree.segments_of({segment.creator: (990.0, 1010.0)}) == [segment]
        assert proctree.segments_of({segment.creator: (1010.0, 1020.0)}) == []
        assert proctree.segments_of({segment.creator: (900.0, 990.0)}) == []
        assert proctree.segments_of({1: (0.0, 2000.0)}) == []
        segment = segment._replace(creator=os.getpid())
        assert proctree.segments_of({os.getpid(): (990.0, 1010.0)}) == []
    finally:
        proctree.segments = original
