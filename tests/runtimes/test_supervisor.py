from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tiny_engine import Tiny, ask, eventually, gone, opened, start

from pytest_enterprise.errors import EngineFailed
from pytest_enterprise.run import Run
from pytest_enterprise.runtimes import proctree

Owner = tuple[subprocess.Popen[bytes], dict[str, Any]]


def test_owner_killed(owner: Callable[..., Owner], own_tmp: Path) -> None:
    """SIGKILL of the owner ends a daemonised grandchild within a second, and its shared memory and files go too."""
    program, told = owner("daemon", "child", "sysv", "posix", "deaf")
    pids = [int(told[name]) for name in ("main", "daemon", "child", "supervisor")]
    assert not any(gone(pid) for pid in pids)
    assert int(told["sysv"]) in {s.id for s in proctree.segments()}
    program.kill()
    program.wait()
    assert eventually(lambda: all(gone(pid) for pid in pids), within=1)
    assert int(told["sysv"]) not in {s.id for s in proctree.segments()}
    assert not Path(told["posix"]).exists()
    assert not Path(told["temporary"]).exists()
    assert list((own_tmp / f"pytest-enterprise-runs-{os.getuid()}").iterdir()) == []
    assert Path(told["data"]).is_dir(), "logs and data stay in the run directory"


def test_owner_killed_while_a_copy_lives(owner: Callable[..., Owner]) -> None:
    """A forked copy of the owner, which holds the socket, does not keep the engines alive."""
    program, told = owner("forked")
    program.kill()
    program.wait()
    try:
        assert eventually(lambda: gone(told["supervisor"]), within=5)
        assert gone(told["main"])
        assert not gone(told["copy"])
    finally:
        os.kill(told["copy"], signal.SIGKILL)


def test_owner_killed_while_paused(owner: Callable[..., Owner]) -> None:
    """Stopped processes end with their owner as well."""
    program, told = owner("child")
    os.kill(told["main"], signal.SIGSTOP)
    program.kill()
    program.wait()
    assert eventually(lambda: gone(told["main"]) and gone(int(told["child"])), within=5)


def test_interrupt_does_not_reach_engines(owner: Callable[..., Owner]) -> None:
    """Ctrl-C goes to the owner's process group: the engines live in sessions of their own, and end after it."""
    program, told = owner()
    assert os.getsid(program.pid) == program.pid
    assert len({os.getsid(pid) for pid in (program.pid, told["supervisor"], told["main"])}) == 3
    os.kill(told["supervisor"], signal.SIGINT)
    time.sleep(0.05)
    assert not gone(told["supervisor"])
    assert not gone(told["main"])
    os.killpg(program.pid, signal.SIGKILL)
    program.wait()
    assert eventually(lambda: gone(told["main"]) and gone(told["supervisor"]), within=5)


def test_supervisor_ended_by_hand(run: Run) -> None:
    """SIGTERM to the supervisor ends everything, and the run says what happened."""

    async def body() -> None:
        async with opened(run) as runtime:
            instance, site = await start(runtime, Tiny(modes=("daemon",)))
            assert eventually((site.data / "daemon").exists)
            daemon = int((site.data / "daemon").read_text())
            runtime._program.terminate()
            while await instance.alive():
                await asyncio.sleep(0.01)
            await runtime.supervisor.closed.wait()
            assert instance.exit_status() == "signal 9 (SIGKILL)"
            assert eventually(lambda: gone(daemon))
            with pytest.raises(EngineFailed, match="the supervisor of this run's processes is gone"):
                await instance.restart()
            assert await instance.cpu_seconds() > 0

    asyncio.run(body())


def test_supervisor_killed(run: Run, own_tmp: Path) -> None:
    """When the supervisor itself gets SIGKILL, closing the run still ends what it had started."""

    async def body() -> tuple[int, int]:
        async with opened(run) as runtime:
            instance, site = await start(runtime, Tiny(modes=("daemon",)))
            assert eventually((site.data / "daemon").exists)
            pids = int((await ask(site.host["main"]))[0]), int((site.data / "daemon").read_text())
            runtime._program.kill()
            await runtime.supervisor.closed.wait()
            assert not any(gone(pid) for pid in pids)
            assert await instance.alive()
            assert instance.exit_status() is None
            os.kill(pids[0], signal.SIGKILL)
            assert eventually(lambda: gone(pids[0]))
            assert not await instance.alive()
            assert instance.exit_status() == "ended after its supervisor"
            return pids

    pids = asyncio.run(body())
    assert all(gone(pid) for pid in pids)
    assert list((own_tmp / f"pytest-enterprise-runs-{os.getuid()}").iterdir()) == []
    assert [p for p in own_tmp.glob("pytest-enterprise-*") if p.name.count("-") == 2] == []


def test_starts_quickly() -> None:
    """The supervisor imports none of the slow standard modules."""
    code = "import sys, pytest_enterprise.runtimes.supervisor; print(*sys.modules)"
    modules = subprocess.run((sys.executable, "-S", "-c", code), capture_output=True, text=True, check=False)
    if modules.returncode:  # the package is installed where only the site module looks
        code = "import sys; before = set(sys.modules); import pytest_enterprise.runtimes.supervisor; "
        code += "print(*set(sys.modules) - before)"
        modules = subprocess.run((sys.executable, "-c", code), capture_output=True, text=True, check=True)
    slow = {"asyncio", "subprocess", "pathlib", "threading", "logging", "shutil", "tempfile", "inspect", "dataclasses"}
    assert not slow & set(modules.stdout.split())
    assert "pytest_enterprise.runtimes.proctree" in modules.stdout
