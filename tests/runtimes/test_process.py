from __future__ import annotations

import asyncio
import os
import shutil
import signal
import struct
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tiny_engine import Tiny, ask, eventually, gone, opened, ready, site_of, start

from pytest_enterprise.engines.base import Launch
from pytest_enterprise.errors import ConfigurationError, EngineFailed, EngineMissing, FaultFailed
from pytest_enterprise.run import VARIABLE, Run
from pytest_enterprise.runtimes import proctree
from pytest_enterprise.runtimes.supervision import Supervision
from pytest_enterprise.settings import Settings

root_only = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: programs change user")


def started(run: Run, engine: Tiny) -> str:
    """The message with which the engine does not start."""

    async def body() -> None:
        async with opened(run) as runtime:
            await start(runtime, engine)

    with pytest.raises(EngineFailed) as caught:
        asyncio.run(body())
    return str(caught.value)


def test_environment_and_log(run: Run, own_tmp: Path) -> None:
    """A program gets a small environment of known content, and all it writes is in its log."""
    os.environ["TINY_SECRET"] = "ours"
    try:

        async def body() -> None:
            async with opened(run) as runtime:
                instance, site = await start(runtime, Tiny())
                lines = (site.data / "environment").read_text().splitlines()
                environment = dict(line.partition("=")[::2] for line in lines)
                assert environment["TINY"] == "yes"
                assert environment[VARIABLE] == run.id
                assert environment["LANG"] == "C.UTF-8"
                assert list((own_tmp / Path(environment["TMPDIR"]).parent.name).iterdir()) == [
                    Path(environment["TMPDIR"])
                ]
                assert "TINY_SECRET" not in environment
                assert instance.log()[0].startswith("process ")
                assert (run.engines / "tiny" / "log").read_text().startswith("process ")
                assert instance.command_line.startswith(sys.executable)
                assert site.bind == "127.0.0.1"
                assert site.host == site.network["tiny"]

        asyncio.run(body())
    finally:
        del os.environ["TINY_SECRET"]


def test_nothing_stays(run: Run, own_tmp: Path) -> None:
    """After close no process, temporary directory, registration, shared memory or empty log is left."""

    async def body() -> tuple[int, int, int, str]:
        async with opened(run) as runtime:
            _, site = await start(runtime, Tiny(modes=("daemon", "sysv", "posix")))
            assert eventually((site.data / "daemon").exists)
            main = int((await ask(site.host["main"]))[0])
            memory = (site.data / "posix").read_text()
            assert memory in proctree.mapped_files([main])
            segment, daemon = (int((site.data / name).read_text()) for name in ("sysv", "daemon"))
            assert segment in {s.id for s in proctree.segments()}
            return main, daemon, segment, memory

    main, daemon, segment, memory = asyncio.run(body())
    assert gone(main)
    assert gone(daemon)
    assert segment not in {s.id for s in proctree.segments()}
    assert not Path(memory).exists()
    assert [p.name for p in own_tmp.glob("pytest-enterprise-*") if p.name.count("-") == 2] == []
    assert list((own_tmp / f"pytest-enterprise-runs-{os.getuid()}").iterdir()) == []
    assert list(run.directory.glob("supervisor-*.log")) == []


def test_kill_reaches_all_and_restart_keeps_place(run: Run) -> None:
    """SIGKILL ends the daemonised grandchild too; a restart has the same port and data and appends to the log."""

    async def body() -> None:
        async with opened(run) as runtime:
            engine = Tiny(modes=("daemon", "child"))
            instance, site = await start(runtime, engine)
            assert eventually((site.data / "daemon").exists)
            assert eventually((site.data / "child").exists)
            pids = [int((site.data / name).read_text()) for name in ("daemon", "child")]
            first = await ask(site.host["main"])
            assert instance.exit_status() is None
            await instance.kill()
            assert all(gone(pid) for pid in pids)
            assert instance.exit_status() == "signal 9 (SIGKILL)"
            assert not await instance.alive()
            with pytest.raises(OSError):
                await ask(site.host["main"])
            await instance.resume()
            await instance.restart()
            await ready(engine, site, instance)
            second = await ask(site.host["main"])
            assert await instance.alive()
            assert (first[2], second[2]) == ("1", "2")
            assert first[0] != second[0]
            assert [line.split()[1] for line in instance.log()] == [first[0], second[0]]

    asyncio.run(body())


def test_pause_really_stops(run: Run) -> None:
    """When pause returns, the kernel says of every process that it is stopped, and none answers until resume."""

    async def body() -> None:
        async with opened(run) as runtime:
            instance, site = await start(runtime, Tiny(modes=("daemon", "child")))
            assert eventually((site.data / "daemon").exists)
            assert eventually((site.data / "child").exists)
            pids = [int((site.data / name).read_text()) for name in ("daemon", "child")]
            pids.append(int((await ask(site.host["main"]))[0]))
            assert not await instance.paused()
            await instance.pause()
            states = [proctree.process(pid) for pid in pids]
            assert [one.stopped for one in states if one] == [True, True, True]
            assert await instance.paused()
            assert await instance.alive()
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.2):
                    await ask(site.host["main"])
            await instance.resume()
            await ask(site.host["main"])
            assert not await instance.paused()
            await instance.pause()
            await instance.stop()
            assert instance.exit_status() == "signal 15 (SIGTERM)", "a paused one is stopped in good order too"
            with pytest.raises(FaultFailed, match="tiny is not running"):
                await instance.pause()
            with pytest.raises(FaultFailed, match="tiny is not running"):
                await instance.kill("SIGHUP")

    asyncio.run(body())


def test_stop_by_force(run: Run) -> None:
    """What ignores the stop signal is killed after its time, and SIGTERM as a fault says that it did not end."""

    async def body() -> None:
        async with opened(run) as runtime:
            instance, _ = await start(runtime, Tiny(modes=("deaf",), stop_timeout=0.2))
            with pytest.raises(FaultFailed, match=r"still runs 0.2 s after SIGTERM"):
                await instance.kill("SIGTERM")
            with pytest.raises(ConfigurationError, match="no signal 'SIGNONE'"):
                await instance.kill("SIGNONE")
            await instance.stop()
            assert instance.exit_status() == "signal 9 (SIGKILL)"
            await instance.stop()

    asyncio.run(body())


def test_signals(run: Run) -> None:
    """SIGTERM returns when all has ended; another signal returns at once and does what it does."""

    async def body() -> None:
        async with opened(run) as runtime:
            engine = Tiny(modes=("daemon",))
            instance, site = await start(runtime, engine)
            assert eventually((site.data / "daemon").exists)
            daemon = int((site.data / "daemon").read_text())
            await instance.kill("SIGTERM")
            assert instance.exit_status() == "signal 15 (SIGTERM)"
            assert gone(daemon)
            await instance.restart()
            await ready(engine, site, instance)
            await instance.kill("SIGINT")
            while await instance.alive():
                await asyncio.sleep(0.01)
            assert instance.exit_status() == "signal 2 (SIGINT)", "our own disregard of SIGINT is not inherited"

    asyncio.run(body())


def test_death_from_elsewhere_is_seen(run: Run) -> None:
    """A program killed by somebody else is not alive, its end is told, and a restart ends what it left."""

    async def body() -> None:
        async with opened(run) as runtime:
            engine = Tiny(modes=("daemon", "child"))
            instance, site = await start(runtime, engine)
            assert eventually((site.data / "daemon").exists)
            assert eventually((site.data / "child").exists)
            pids = [int((site.data / name).read_text()) for name in ("daemon", "child")]
            os.kill(int((await ask(site.host["main"]))[0]), signal.SIGKILL)
            while await instance.alive():
                await asyncio.sleep(0.01)
            assert instance.exit_status() == "signal 9 (SIGKILL)"
            assert not any(gone(pid) for pid in pids)
            await instance.restart()
            assert all(gone(pid) for pid in pids)

    asyncio.run(body())


def test_cpu_seconds(run: Run) -> None:
    """CPU time counts the program while it runs, after its end, and over a restart."""

    async def body() -> None:
        async with opened(run) as runtime:
            engine = Tiny(modes=("busy",))
            instance, site = await start(runtime, engine)
            assert await instance.cpu_seconds() >= 0.25
            await instance.kill()
            assert await instance.cpu_seconds() >= 0.25
            await instance.restart()
            await ready(engine, site, instance)
            assert await instance.cpu_seconds() >= 0.5

    asyncio.run(body())


def test_setup_runs_first(run: Run) -> None:
    """Set-up commands have run to their end, in order, before the program starts; a restart does not repeat them."""

    async def body() -> None:
        async with opened(run) as runtime:
            mark = run.engines / "tiny" / "data" / "starts"
            engine = Tiny(setup=(("sh", "-c", f"sleep 0.1; echo 4 > {mark}"), ("sh", "-c", f"test -s {mark}")))
            instance, site = await start(runtime, engine)
            assert (await ask(site.host["main"]))[2] == "5"
            await instance.restart()
            await ready(engine, site, instance)
            assert (await ask(site.host["main"]))[2] == "6"

    asyncio.run(body())


def test_setup_that_fails(run: Run) -> None:
    """A set-up command that fails names the command, how it ended, and what it said."""
    message = started(run, Tiny(setup=(("sh", "-c", "echo disk is cheese; exit 7"),)))
    assert "tiny: its set-up command ended with exit code 7" in message
    assert "disk is cheese" in message


def test_crash_at_start(run: Run) -> None:
    """A program that ends by itself tells its exit code and its last lines."""

    async def body() -> None:
        async with opened(run) as runtime:
            engine = Tiny(modes=("crash",))
            site = site_of(engine, "tiny", runtime.place(engine, "tiny"), "process")
            instance = await runtime.start(engine, site, engine.launch(site))
            while await instance.alive():
                await asyncio.sleep(0.01)
            assert instance.exit_status() == "exit code 3"
            assert instance.log()[-1] == "no good"

    asyncio.run(body())


def test_program_missing(run: Run) -> None:
    """A program that is nowhere says so, with the command that gets it."""
    message = started(run, Tiny(program="tinyd", folder=run.directory))
    assert "program 'tinyd' is neither below .engines/ nor on PATH" in message
    assert "apt-get install tiny" in message
    with pytest.raises(EngineMissing, match=r"there is no program /nowhere/tinyd. Get it with"):
        asyncio.run(_start_only(run, Tiny(program="/nowhere/tinyd")))


async def _start_only(run: Run, engine: Tiny) -> None:
    async with opened(run) as runtime:
        await start(runtime, engine)


def _elf(machine: int) -> bytes:
    ident = b"\x7fELF\x02\x01\x01" + bytes(9)
    return ident + struct.pack("<HHIQQQIHHHHHH", 2, machine, 1, 0, 64, 0, 0, 64, 56, 0, 64, 0, 0)


@pytest.mark.parametrize(
    ("content", "mode", "says"),
    [
        (_elf(22), 0o755, "it was built for s390x, and this machine is "),
        (b"neither", 0o755, "neither a program for this machine nor a script"),
        (b"#!/bin/sh\n", 0o644, "not executable for this user. Run `chmod [+]x "),
        (b"#!/nowhere/sh\n", 0o755, "its interpreter or loader"),
    ],
    ids=["architecture", "no-program", "mode", "interpreter"],
)
def test_program_that_cannot_run(run: Run, content: bytes, mode: int, says: str) -> None:
    """What is there and cannot be run says why."""
    program = run.directory / "tinyd"
    program.write_bytes(content)
    program.chmod(mode)
    with pytest.raises(EngineFailed, match=says) as caught:
        asyncio.run(_start_only(run, Tiny(program="tinyd", folder=run.directory)))
    assert not isinstance(caught.value, EngineMissing)
    assert str(program) in str(caught.value)


@root_only
def test_unprivileged_is_not_root(run: Run) -> None:
    """As root, an unprivileged program sees another user, and still owns its data and its set-up's files."""

    async def body() -> None:
        async with opened(run) as runtime:
            mark = run.engines / "tiny" / "data" / "setup"
            engine = Tiny(unprivileged=True, setup=(("sh", "-c", f"id -u > {mark}"),))
            _, site = await start(runtime, engine)
            assert (await ask(site.host["main"]))[1] != "0"
            assert mark.read_text().strip() != "0"
            assert (site.data / "starts").stat().st_uid == 0, "outside, nothing changes hands"
            _, other = await start(runtime, Tiny(name="other"))
            assert (await ask(other.host["main"]))[1] == "0"

    asyncio.run(body())


@pytest.fixture
def no_namespaces(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that refuses user namespaces."""
    ask_really = Supervision.ask

    async def refuse(self: Supervision, do: str, **fields: Any) -> dict[str, Any]:
        if do == "spawn" and fields["user"] == "namespace":
            return {"failed": {"step": "user", "errno": 1, "path": None, "error": "Operation not permitted"}}
        return await ask_really(self, do, **fields)

    monkeypatch.setattr(Supervision, "ask", refuse)


@pytest.fixture
def public_run(own_tmp: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    """A run whose directory every user reaches."""
    folder = Path(tempfile.mkdtemp(dir="/tmp"))
    folder.chmod(0o755)
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    run = Run(Settings(reports=str(folder)))
    yield run
    run.events.close()
    run.ports.release()
    shutil.rmtree(folder)


@root_only
@pytest.mark.usefixtures("no_namespaces")
def test_unprivileged_without_namespaces(public_run: Run) -> None:
    """Where user namespaces are refused, the program runs as nobody, who is given its directories."""

    async def body() -> None:
        async with opened(public_run) as runtime:
            engine = Tiny()
            site = site_of(engine, "tiny", runtime.place(engine, "tiny"), "process")
            # Not our Python: nobody may be unable to reach that.
            command = ("sh", "-c", f"id -u > {site.data}/uid; echo > {site.config}/mark; exec sleep 60")
            instance = await runtime.start(engine, site, Launch(command=command, unprivileged=True))
            for _ in range(2):
                assert eventually((site.config / "mark").exists)
                assert int((site.data / "uid").read_text()) == (site.data / "uid").stat().st_uid
                assert int((site.data / "uid").read_text()) not in (0, 1000)
                assert await instance.alive()
                (site.config / "mark").unlink()
                await instance.kill()
                await instance.restart()

    asyncio.run(body())


@root_only
@pytest.mark.usefixtures("no_namespaces")
def test_unprivileged_cannot_reach(run: Run) -> None:
    """If nobody then cannot reach the data, the error names it and the way out."""
    run.directory.parent.chmod(0o700)
    message = started(run, Tiny(unprivileged=True, program="python3"))
    assert "the user nobody cannot reach" in message
    assert str(run.engines / "tiny") in message
    assert "Run the tests as a normal user" in message


def test_two_runs_at_once(tmp_path: Path, run: Run) -> None:
    """Two runs on one machine have ports of their own, and the end of one leaves the other alone."""
    other = Run(Settings(reports=str(tmp_path / "others")))

    async def body() -> None:
        async with opened(run) as first:
            _, site = await start(first, Tiny())
            async with opened(other) as second:
                _, others = await start(second, Tiny())
                assert others.listen != site.listen
                assert await ask(site.host["main"]) != await ask(others.host["main"])
            await ask(site.host["main"])
            with pytest.raises(OSError):
                await ask(others.host["main"])

    asyncio.run(body())
    other.events.close()
    other.ports.release()


def test_many_at_once(run: Run) -> None:
    """Instances start at the same time, and each is its own."""

    async def body() -> None:
        async with opened(run) as runtime:
            begun = await asyncio.gather(*(start(runtime, Tiny(), f"tiny-{i}") for i in range(4)))
            pids = {(await ask(site.host["main"]))[0] for _, site in begun}
            assert len(pids) == 4
            await begun[0][0].kill()
            assert [await instance.alive() for instance, _ in begun] == [False, True, True, True]

    asyncio.run(body())


def test_second_of_a_name(run: Run) -> None:
    """A second instance of a name, of the same stack or another one of the run, has directories of its own."""

    async def body() -> None:
        async with opened(run) as runtime, opened(run) as another:
            instance, first = await start(runtime, Tiny())
            _, second = await start(another, Tiny())
            assert (await ask(second.host["main"]))[2] == "1"
            await instance.kill()
            assert (await ask(second.host["main"]))[2] == "1"
            _, third = await start(runtime, Tiny())
            assert (await ask(third.host["main"]))[2] == "1"
            homes = [site.data.parent.name for site in (first, second, third)]
            assert homes == ["tiny", "tiny.2", "tiny.3"]

    asyncio.run(body())


def test_place_where_nothing_can_be_written(run: Run) -> None:
    """A run directory that takes no directories is a mistake told with its way out."""
    run.engines.parent.mkdir(exist_ok=True)
    run.engines.write_text("in the way")

    async def body() -> None:
        async with opened(run) as runtime:
            with pytest.raises(ConfigurationError, match=r"cannot write .*/tiny.* --enterprise-reports"):
                runtime.place(Tiny(), "tiny")

    asyncio.run(body())
