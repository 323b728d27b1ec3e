"""Engines as plain processes of this machine, under a supervisor that ends them whatever happens to us.

Everything is on 127.0.0.1, inside and outside are the same, and programs run in our working directory.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from pytest_enterprise.engines.base import Address, Engine, Launch, Site
from pytest_enterprise.errors import ConfigurationError
from pytest_enterprise.run import VARIABLE, Run
from pytest_enterprise.runtimes import cgroup, leftovers, mounts, wires
from pytest_enterprise.runtimes.base import Instance, Placement, Runtime, make_home
from pytest_enterprise.runtimes.process_instance import FORCE, ProcessInstance
from pytest_enterprise.runtimes.supervision import Supervision
from pytest_enterprise.runtimes.supervisor import INSTANCE

_HOST = "127.0.0.1"
_PASSED_ON = ("PATH", "HOME", "PYTHONPATH", "LD_LIBRARY_PATH", "COVERAGE_PROCESS_START", "COVERAGE_PROCESS_CONFIG")
"""What programs get of our environment. HOME and the two paths, because our own programs must find this package."""


class ProcessRuntime(Runtime):
    """Runs engines as processes; needs nothing but Linux."""

    name: ClassVar[str] = "process"

    def __init__(self, run: Run) -> None:
        super().__init__(run)
        self._temporary = Path(tempfile.gettempdir()) / f"pytest-enterprise-{secrets.token_hex(4)}"
        self._registration: leftovers.Registration | None = None
        self._program: subprocess.Popen[bytes] | None = None
        self._supervisor: Supervision | None = None
        self._instances: list[ProcessInstance] = []
        self._log = run.directory / f"supervisor-{os.getpid()}-{self._temporary.name[-8:]}.log"
        self._began = 0.0

    @property
    def supervisor(self) -> Supervision:
        assert self._supervisor is not None, "open() comes first"
        return self._supervisor

    async def open(self) -> None:
        """Remove what dead runs left, register this one and start the supervisor, without waiting for it."""
        if not sys.platform.startswith("linux"):
            raise ConfigurationError(
                f"runtime 'process' needs Linux, and this is {sys.platform}; use --enterprise-runtime=container, "
                "or engines that run already (--enterprise-url ENGINE=URL)"
            )
        await asyncio.to_thread(leftovers.remove_leftovers)
        await asyncio.to_thread(cgroup.remove_leftovers)
        await asyncio.to_thread(mounts.remove_leftovers)
        await asyncio.to_thread(wires.remove_leftovers)
        self._began = time.time()
        # First the registration, then what it names: whenever we are ended, it can be found.
        self._registration = leftovers.Registration(self.run, self._temporary)
        self._temporary.mkdir(mode=0o711)
        ours = self._start_supervisor(self._registration)
        _, self._supervisor = await asyncio.get_running_loop().create_connection(Supervision, sock=ours)

    def _start_supervisor(self, registration: leftovers.Registration) -> socket.socket:
        """Start it with one end of a socket that the kernel closes when we end; returns the other."""
        ours, theirs = socket.socketpair()
        with theirs, self._log.open("wb") as log:
            self._program = subprocess.Popen(
                (
                    *(sys.executable, "-P", "-m", "pytest_enterprise.runtimes.supervisor"),
                    *(str(theirs.fileno()), str(os.getpid()), str(self._temporary), str(registration.path)),
                ),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, VARIABLE: self.run.id},
                pass_fds=(theirs.fileno(),),
                start_new_session=True,
            )
        return ours

    def note_process(self, pid: int) -> None:
        assert self._registration is not None
        self._registration.add_process(pid)

    def environment(self, instance: str, extra: Mapping[str, str]) -> dict[str, str]:
        """The environment of an instance's programs: little of ours, the run's id, and what its launch says."""
        passed = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
        return {
            "PATH": os.defpath,
            **passed,
            "LANG": "C.UTF-8",
            "TMPDIR": str(self._temporary / instance),
            **extra,
            VARIABLE: self.run.id,
            INSTANCE: self.key(instance),
        }

    @property
    def token(self) -> str:
        """What is this runtime's alone on the machine."""
        return self._temporary.name.rpartition("-")[2]

    def key(self, instance: str) -> str:
        """What the supervisor and the environment call an instance; another stack may have one of the same name."""
        return f"{self._temporary.name}/{instance}"

    def place(self, engine: Engine, instance: str) -> Placement:
        """Ports of this run on 127.0.0.1 and empty directories below its run directory."""
        home = make_home(self.run, instance)
        config, data = home / "config", home / "data"
        listen = {port: self.run.ports.take() for port in engine.ports}
        addresses = {port: Address(_HOST, number) for port, number in listen.items()}
        return Placement(
            bind=_HOST,
            listen=listen,
            host=addresses,
            network=addresses,
            config=config,
            data=data,
            config_inside=config,
            data_inside=data,
        )

    async def start(self, engine: Engine, site: Site, launch: Launch) -> Instance:
        (self._temporary / site.name).mkdir(exist_ok=True)
        instance = ProcessInstance(self, engine, site, launch)
        self._instances.append(instance)
        await instance.begin()
        return instance

    async def close(self) -> None:
        """Stop every instance in good order, then let the supervisor end what is left and remove its traces."""
        if self._program is None or self._supervisor is None:
            if self._registration:  # it was interrupted while it opened
                self._registration.remove()
            return
        await asyncio.gather(*(instance.stop() for instance in self._instances), return_exceptions=True)
        self._supervisor.hang_up()
        program, self._program = self._program, None
        try:
            await asyncio.to_thread(program.wait, FORCE)
        except subprocess.TimeoutExpired:
            program.kill()
            await asyncio.to_thread(program.wait)
        if program.returncode:
            await asyncio.to_thread(self._clean_up)
        with contextlib.suppress(OSError):
            if not self._log.stat().st_size:
                self._log.unlink()

    def _clean_up(self) -> None:
        """Do what the supervisor did not live to do. Another worker's processes have the run's id too: only ours."""
        ours = {self.key(instance.name) for instance in self._instances}
        leftovers.end_processes([self.run.id], since=self._began, instances=ours)
        shutil.rmtree(self._temporary, ignore_errors=True)
        if self._registration:
            self._registration.remove()
