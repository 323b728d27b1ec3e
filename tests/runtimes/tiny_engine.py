"""A tiny engine, and how tests of runtimes start it."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from pytest_enterprise.engines.base import Address, Engine, Launch, Site
from pytest_enterprise.run import Run
from pytest_enterprise.runtimes import proctree
from pytest_enterprise.runtimes.base import Instance, Placement, Runtime
from pytest_enterprise.runtimes.process import ProcessRuntime

TINY = Path(__file__).parent / "tiny_server.py"


@dataclass(frozen=True, kw_only=True)
class Tiny(Engine):
    """Runs ``tiny_server.py``: answers a connection with its process and user id, and misbehaves as told."""

    kind: ClassVar[str] = "tiny"
    obtain: ClassVar[str] = "Get it with `apt-get install tiny`."

    name: str = "tiny"
    modes: Sequence[str] = ()
    program: str = sys.executable
    setup: Sequence[Sequence[str]] = ()
    unprivileged: bool = False
    stop_timeout: float = 5.0
    folder: Path | None = None
    """Where its programs lie, instead of PATH."""

    @property
    def ports(self) -> Mapping[str, int]:
        return {"main": 9000}

    def locate(self, program: str) -> Path | None:
        if self.folder is None:
            return super().locate(program)
        return self.folder / program if (self.folder / program).exists() else None

    def launch(self, site: Site) -> Launch:
        return Launch(
            command=(self.program, str(TINY), str(site.listen["main"]), str(site.data_inside), *self.modes),
            env={"TINY": "yes"},
            setup=self.setup,
            unprivileged=self.unprivileged,
            stop_timeout=self.stop_timeout,
        )

    async def ready(self, site: Site) -> str | None:
        try:
            await ask(site.host["main"])
        except (OSError, TimeoutError) as error:
            return repr(error)
        return None


async def ask(address: Address) -> list[str]:
    """What the tiny server says: pid, effective user id, number of its start."""
    async with asyncio.timeout(2):
        reader, writer = await asyncio.open_connection(*address)
        try:
            words = (await reader.read()).decode().split()
        finally:
            writer.transport.abort()
    if not words:
        raise ConnectionResetError("closed without a word")
    return words


def site_of(engine: Engine, name: str, placed: Placement, runtime: str) -> Site:
    return Site(
        name=name,
        index=1,
        siblings=(name,),
        runtime=runtime,
        bind=placed.bind,
        listen=placed.listen,
        host=placed.host,
        network={name: placed.network},
        links={},
        instances={},
        tunnel=None,
        config=placed.config,
        data=placed.data,
        config_inside=placed.config_inside,
        data_inside=placed.data_inside,
    )


async def start(runtime: Runtime, engine: Engine, name: str = "") -> tuple[Instance, Site]:
    """Place and start an instance and wait until it is ready."""
    name = name or engine.name
    site = site_of(engine, name, runtime.place(engine, name), runtime.name)
    instance = await runtime.start(engine, site, engine.launch(site))
    await ready(engine, site, instance)
    return instance, site


async def ready(engine: Engine, site: Site, instance: Instance) -> None:
    deadline = time.monotonic() + 20
    while (said := await engine.ready(site)) is not None:
        assert await instance.alive(), f"{instance.exit_status()}: {instance.log()}"
        assert time.monotonic() < deadline, said
        await asyncio.sleep(0.01)


@contextlib.asynccontextmanager
async def opened(run: Run) -> AsyncIterator[Runtime]:
    runtime = ProcessRuntime(run)
    await runtime.open()
    try:
        yield runtime
    finally:
        await runtime.close()


def eventually(condition: Callable[[], bool], within: float = 10.0) -> bool:
    """True as soon as the condition holds; False when it does not within so many seconds."""
    deadline = time.monotonic() + within
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def gone(pid: int) -> bool:
    """True when no such process runs; a zombie does not."""
    one = proctree.process(pid)
    return one is None or one.gone
