"""One engine as a process under the supervisor: signals, states, its end."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import pwd
import shlex
import signal as signals
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_enterprise.engines.base import Engine, Launch, Site
from pytest_enterprise.engines.namespace import alone, put_over
from pytest_enterprise.errors import ConfigurationError, EngineFailed, EngineMissing, FaultFailed
from pytest_enterprise.runtimes import proctree
from pytest_enterprise.runtimes.base import Instance
from pytest_enterprise.runtimes.program import resolve, why_not_executable

if TYPE_CHECKING:
    from pytest_enterprise.runtimes.process import ProcessRuntime
    from pytest_enterprise.runtimes.supervision import Supervision

FORCE = 10.0
"""Seconds for the kernel to end or to stop processes; more means that one hangs in the kernel itself."""


class ProcessInstance(Instance):
    """One program under the supervisor."""

    def __init__(self, runtime: ProcessRuntime, engine: Engine, site: Site, launch: Launch) -> None:
        self.name = site.name
        self._runtime = runtime
        self._key = runtime.key(site.name)
        self._engine = engine
        self._launch = launch
        self._directory = site.data.parent
        self._argv = [str(resolve(engine, launch.command[0])), *launch.command[1:]]
        if launch.over:
            around = alone(put_over(launch.over), unprivileged=launch.unprivileged)
            self._argv = [*around, *self._argv]
        self._environment = runtime.environment(site.name, launch.env)
        self._user: Any = None
        self._pid = 0
        self._started = 0
        self._cpu_before = 0.0

    # Starting

    async def begin(self) -> None:
        """Run the set-up commands to their end, then start the program."""
        if self._launch.unprivileged and os.geteuid() == 0:
            self._user = "namespace"
        for command in self._launch.setup:
            argv = [str(resolve(self._engine, command[0])), *command[1:]]
            pid, _ = await self._spawn(argv)
            await self._supervisor.ended(pid).wait()
            status, cpu = self._supervisor.exits.get(pid, (-1, 0.0))
            self._cpu_before += cpu
            if status:
                lines = "\n".join(f"    {line}" for line in self.log()) or "    (nothing)"
                raise EngineFailed(
                    f"{self.name}: its set-up command ended with {_ending(status)}.\n  command: {shlex.join(argv)}\n"
                    f"  last log lines:\n{lines}\n  whole log: {self._log}"
                )
        await self._run()

    async def _run(self) -> None:
        self._pid, self._started = await self._spawn(self._argv)

    @property
    def _supervisor(self) -> Supervision:
        return self._runtime.supervisor

    @property
    def _log(self) -> Path:
        return self._directory / "log"

    async def _spawn(self, argv: Sequence[str]) -> tuple[int, int]:
        answer = await self._supervisor.ask(
            "spawn",
            key=self._key,
            argv=list(argv),
            env=self._environment,
            log=str(self._log),
            user=self._user,
            network=self._launch.network,
        )
        failed = answer.get("failed")
        if failed is None:
            self._runtime.note_process(answer["pid"])
            return answer["pid"], answer["started"]
        if failed["step"] == "user" and self._user == "namespace":
            # No user namespaces here (a container's seccomp rules, say): the classical way.
            self._user = await asyncio.to_thread(self._as_nobody)
            return await self._spawn(argv)
        raise self._not_started(argv[0], failed)

    def _as_nobody(self) -> dict[str, Any]:
        nobody = pwd.getpwnam("nobody")
        owned = (self._directory / "config", self._directory / "data", Path(self._environment["TMPDIR"]))
        for top in owned:
            for path in (top, *top.rglob("*")):
                os.chown(path, nobody.pw_uid, nobody.pw_gid, follow_symlinks=False)
        return {"uid": nobody.pw_uid, "gid": nobody.pw_gid, "needs": [str(path) for path in owned]}

    def _not_started(self, program: str, failed: Mapping[str, Any]) -> EngineFailed:
        code = failed["errno"]
        if isinstance(self._user, dict) and code == errno.EACCES:
            return EngineFailed(
                f"{self.name}: it must not run as root, this machine refuses user namespaces, and the user nobody "
                f"cannot reach {failed['path'] or program}. Run the tests as a normal user, or put the project, its "
                "virtual environment and the run directory (--enterprise-reports) where everybody may read."
            )
        if failed["step"] != "exec":
            return EngineFailed(f"{self.name}: cannot start {program}: {failed['error']}")
        if code == errno.ENOENT and not Path(program).exists():
            return EngineMissing(f"{self.name}: there is no program {program}. {self._engine.obtain}")
        return EngineFailed(f"{self.name}: cannot start {program}: {why_not_executable(Path(program), code)}")

    # Disturbing and ending

    async def kill(self, signal: str = "SIGKILL") -> None:
        number = _number(signal)
        if number == signals.SIGKILL:
            await self._end_tree()
            return
        if not await self.alive():
            raise FaultFailed(f"{self.name} is not running ({self.exit_status()}), so {signal} cannot reach it")
        await self._supervisor.ask("signal", key=self._key, signal=number, whole=True)
        if number == signals.SIGTERM:
            try:
                await asyncio.wait_for(self._supervisor.ended(self._pid).wait(), self._launch.stop_timeout)
            except TimeoutError:
                raise FaultFailed(
                    f"{self.name} still runs {self._launch.stop_timeout:g} s after SIGTERM; use SIGKILL, "
                    "or raise the engine's stop_timeout"
                ) from None
            await self._end_tree()

    async def _end_tree(self) -> None:
        answer = await self._supervisor.ask("kill", key=self._key, timeout=FORCE)
        if answer["unmoved"]:
            raise FaultFailed(f"{self.name}: processes {answer['unmoved']} did not end within {FORCE:g} s of SIGKILL")
        if self._pid:
            await self._supervisor.ended(self._pid).wait()

    async def pause(self) -> None:
        if not await self.alive():
            raise FaultFailed(f"{self.name} is not running ({self.exit_status()}), so it cannot be paused")
        answer = await self._supervisor.ask("pause", key=self._key, timeout=FORCE)
        if answer["unmoved"]:
            raise FaultFailed(f"{self.name}: processes {answer['unmoved']} did not stop within {FORCE:g} s")

    async def resume(self) -> None:
        if await self.alive():
            await self._supervisor.ask("signal", key=self._key, signal=int(signals.SIGCONT), whole=True)

    async def stop(self, timeout: float | None = None) -> None:
        if self._supervisor.closed.is_set():
            return
        if await self.alive():
            number = _number(self._launch.stop_signal)
            await self._supervisor.ask("signal", key=self._key, signal=number, whole=False)
            await self.resume()
            with contextlib.suppress(TimeoutError):
                limit = self._launch.stop_timeout if timeout is None else timeout
                await asyncio.wait_for(self._supervisor.ended(self._pid).wait(), limit)
        await self._end_tree()

    async def restart(self) -> None:
        await self.stop()
        self._cpu_before += self._supervisor.exits.get(self._pid, (0, 0.0))[1]
        await self._run()

    # What is known about it

    def _now(self) -> proctree.Process | None:
        """The main process as the kernel shows it; None once it has ended."""
        now = proctree.process(self._pid) if self._pid else None
        return now if now is not None and not now.gone and now.started == self._started else None

    async def alive(self) -> bool:
        if self._now():
            return True
        if self._pid:  # the supervisor is about to tell how it ended
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._supervisor.ended(self._pid).wait(), 1)
        return False

    async def paused(self) -> bool:
        now = self._now()
        return now is not None and now.stopped

    def exit_status(self) -> str | None:
        ended = self._supervisor.exits.get(self._pid)
        if ended:
            return _ending(ended[0])
        return "ended after its supervisor" if self._supervisor.closed.is_set() and not self._now() else None

    def log(self, lines: int = 20) -> Sequence[str]:
        try:
            with self._log.open("rb") as file:
                file.seek(max(0, file.seek(0, os.SEEK_END) - 400 * lines - 4096))
                return file.read().decode(errors="replace").splitlines()[-lines:]
        except OSError:
            return ()

    @property
    def command_line(self) -> str:
        return shlex.join(self._argv)

    @property
    def main_pid(self) -> int | None:
        return self._pid

    async def pids(self) -> list[int]:
        answer = await self._supervisor.ask("pids", key=self._key)
        found: list[int] = answer["pids"]
        return found

    async def cpu_seconds(self) -> float:
        ended = self._supervisor.exits.get(self._pid)
        if ended or self._supervisor.closed.is_set():
            return self._cpu_before + (ended[1] if ended else 0.0)
        answer = await self._supervisor.ask("cpu", key=self._key)
        return self._cpu_before + float(answer["cpu"])


def _number(signal: str) -> int:
    try:
        return signals.Signals[signal].value
    except KeyError:
        raise ConfigurationError(
            f"there is no signal {signal!r}; name one as `kill -l` does, with SIG in front"
        ) from None


def _ending(status: int) -> str:
    """A wait status in words."""
    code = os.waitstatus_to_exitcode(status)
    if code >= 0:
        return f"exit code {code}"
    with contextlib.suppress(ValueError):
        return f"signal {-code} ({signals.Signals(-code).name})"
    return f"signal {-code}"
