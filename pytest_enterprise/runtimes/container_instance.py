"""One engine instance in a container, disturbed and asked through the Docker API."""

from __future__ import annotations

import asyncio
import contextlib
import shlex
import signal as signals
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from pytest_enterprise.engines.base import Launch
from pytest_enterprise.errors import EngineFailed
from pytest_enterprise.runtimes.base import Instance

if TYPE_CHECKING:
    from testcontainers.core.container import DockerContainer

T = TypeVar("T")
_KILL_LIMIT = 30.0
"""Seconds until a container that does not end after SIGTERM is an error."""


def cgroup_cpu_seconds(pid: int, *, system: Path = Path("/")) -> float | None:
    """CPU time of the control group that a process is in, in seconds; None where this machine does not see it."""
    root = system / "sys/fs/cgroup"
    try:
        lines = (system / f"proc/{pid}/cgroup").read_text().splitlines()
    except OSError:
        return None
    for line in lines:
        _, controllers, path = line.split(":", 2)
        with contextlib.suppress(OSError, ValueError, IndexError):
            if "cpuacct" in controllers.split(","):
                return int((root / "cpuacct" / path.lstrip("/") / "cpuacct.usage").read_text()) / 1e9
            if not controllers:
                return int((root / path.lstrip("/") / "cpu.stat").read_text().split()[1]) / 1e6
    return None


class ContainerInstance(Instance):
    """A container of a run. Calls of the Docker API block, so they run in threads."""

    def __init__(
        self, name: str, container: DockerContainer, launch: Launch, log_file: Path, command: list[str]
    ) -> None:
        self.name = name
        self._docker = container
        self._launch = launch
        self._log_file = log_file
        self._command = command
        self._image = str(container.image)
        self._cpu_of_earlier_lives = 0.0
        self._cpu = 0.0

    @property
    def image(self) -> str:
        return self._image

    @property
    def _container(self) -> Any:
        return self._docker.get_wrapped_container()

    def _state(self) -> dict[str, Any]:
        """What the daemon says of it now; a removed container counts as ended."""
        import docker.errors

        try:
            self._container.reload()
        except docker.errors.NotFound:
            return {"Running": False, "Paused": False, "ExitCode": 0, "Removed": True}
        state: dict[str, Any] = self._container.attrs["State"]
        return state

    def _wait(self, timeout: float) -> bool:
        """Whether it ended within ``timeout`` seconds."""
        deadline = time.monotonic() + timeout
        while self._state()["Running"]:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.01)
        return True

    def _signal(self, signal: str) -> None:
        """Send a signal; nothing when it does not run. A paused container gets it once it goes on."""
        import docker.errors

        with contextlib.suppress(docker.errors.NotFound):
            try:
                self._container.kill(signal)
            except docker.errors.APIError as error:
                if error.status_code != 409 and "not running" not in str(error):
                    raise

    def _resume(self) -> None:
        import docker.errors

        if not self._state()["Paused"]:
            return
        try:
            self._container.unpause()
        except docker.errors.APIError as error:
            # It may have been killed meanwhile.
            if self._state()["Paused"]:
                raise EngineFailed(f"{self.name}: its container cannot go on: {error.explanation}") from error

    def _kill(self, signal: str) -> None:
        self._note_cpu()
        self._signal(signal)
        if signal in ("SIGKILL", "SIGTERM"):
            # A frozen process dies only when it thaws.
            if signal == "SIGKILL":
                self._resume()
            if not self._wait(_KILL_LIMIT):
                raise EngineFailed(
                    f"{self.name}: its container still runs {_KILL_LIMIT:.0f} s after {signal}; "
                    f"look with docker inspect {self._container.name}"
                )

    def _stop(self, timeout: float) -> None:
        self._note_cpu()
        self._resume()
        self._signal(self._launch.stop_signal)
        if not self._wait(timeout):
            self._kill("SIGKILL")

    def _restart(self) -> None:
        import docker.errors

        if self._state()["Running"]:
            self._stop(self._launch.stop_timeout)
        self._cpu_of_earlier_lives, self._cpu = self._cpu_of_earlier_lives + self._cpu, 0.0
        try:
            self._container.start()
        except docker.errors.APIError as error:
            raise EngineFailed(
                f"{self.name}: Docker could not start its container again: {error.explanation}. "
                f"Command: {self.command_line}"
            ) from error

    def _pause(self) -> None:
        import docker.errors

        try:
            self._container.pause()
        except docker.errors.APIError as error:
            if not self._state()["Paused"]:
                raise EngineFailed(f"{self.name}: its container cannot be paused: {error.explanation}") from error

    def _disconnect(self) -> Mapping[str, Any]:
        self._container.reload()
        [(network, told)] = self._container.attrs["NetworkSettings"]["Networks"].items()
        self._container.client.networks.get(network).disconnect(self._container)
        return {
            "network": network,
            "aliases": told["Aliases"],
            "ipv4_address": told["IPAMConfig"]["IPv4Address"],
            "driver_opt": told.get("DriverOpts"),
        }

    def _reconnect(self, endpoint: Mapping[str, Any]) -> None:
        import docker.errors

        settings = dict(endpoint)
        network = settings.pop("network")
        try:
            self._container.client.networks.get(network).connect(self._container, **settings)
        except docker.errors.APIError as error:
            raise EngineFailed(f"{self.name}: its container is still off its network: {error.explanation}") from error

    def _note_cpu(self) -> bool:
        """Take the CPU time of this life from its control group, which goes away with it; False where it has none."""
        used = cgroup_cpu_seconds(int(self._state().get("Pid", 0)))
        self._cpu = max(self._cpu, used or 0.0)
        return used is not None

    def _read_cpu(self) -> float:
        """CPU seconds of all its lives; the last known figure of one that ended."""
        import docker.errors

        if not self._note_cpu() and self._state()["Running"]:
            # A daemon in a virtual machine of its own; it takes up to a second to tell.
            with contextlib.suppress(docker.errors.APIError, KeyError):
                told = self._container.client.api.stats(self._container.id, stream=False, one_shot=True)
                self._cpu = max(self._cpu, told["cpu_stats"]["cpu_usage"]["total_usage"] / 1e9)
        return self._cpu_of_earlier_lives + self._cpu

    def remove(self) -> None:
        """Keep its log in the run directory, end it by force and remove it; blocks."""
        import docker.errors

        with contextlib.suppress(docker.errors.NotFound):
            self.save_log()
            self._docker.stop(force=True, delete_volume=True)
        self._docker.get_docker_client().client.close()

    def save_log(self) -> None:
        """Write everything that it wrote so far to the run directory; blocks."""
        self._log_file.write_bytes(self._container.logs())

    async def _thread(self, function: Callable[..., T], *arguments: Any) -> T:
        return await asyncio.to_thread(function, *arguments)

    async def kill(self, signal: str = "SIGKILL") -> None:
        await self._thread(self._kill, signal)

    async def pause(self) -> None:
        await self._thread(self._pause)

    async def resume(self) -> None:
        await self._thread(self._resume)

    async def disconnect(self) -> Mapping[str, object]:
        return await self._thread(self._disconnect)

    async def reconnect(self, endpoint: Mapping[str, object]) -> None:
        await self._thread(self._reconnect, endpoint)

    async def stop(self, timeout: float | None = None) -> None:
        await self._thread(self._stop, self._launch.stop_timeout if timeout is None else timeout)

    async def restart(self) -> None:
        await self._thread(self._restart)

    async def alive(self) -> bool:
        return bool((await self._thread(self._state))["Running"])

    async def paused(self) -> bool:
        return bool((await self._thread(self._state))["Paused"])

    async def pids(self) -> list[int]:
        return await asyncio.to_thread(self._pids)

    def _pids(self) -> list[int]:
        told = self._container.top()
        column = told["Titles"].index("PID")
        return [int(row[column]) for row in told["Processes"]]

    async def cpu_seconds(self) -> float:
        return await self._thread(self._read_cpu)

    def exit_status(self) -> str | None:
        state = self._state()
        if state["Running"]:
            return None
        if state.get("Removed"):
            return "removed"
        if state.get("OOMKilled"):
            return "killed by the kernel: out of memory"
        code = int(state["ExitCode"])
        if code > 128:
            # Inside a container the init process tells the signal as a shell does: 128 and its number.
            with contextlib.suppress(ValueError):
                return f"signal {code - 128} ({signals.Signals(code - 128).name})"
        return f"exit code {code}" + (" (no such program in its image)" if code == 127 else "")

    def log(self, lines: int = 20) -> Sequence[str]:
        import docker.errors

        try:
            text: bytes = self._container.logs(tail=lines)
        except docker.errors.APIError:
            text = self._log_file.read_bytes() if self._log_file.exists() else b""
        return text.decode("utf-8", "replace").splitlines()[-lines:]

    @property
    def command_line(self) -> str:
        return shlex.join(self._command)
