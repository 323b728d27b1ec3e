"""``owner.py REPORTS [MODE ...]``: a run that starts the tiny server, says what it started in JSON and waits.

Mode ``forked`` leaves a forked copy of the owner as well, which holds all its descriptors.
"""

import asyncio
import json
import os
import signal
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from tiny_engine import Tiny, start

from pytest_enterprise.run import Run
from pytest_enterprise.runtimes.process import ProcessRuntime
from pytest_enterprise.settings import Settings


async def main(reports: str, *modes: str) -> None:
    run = Run(Settings(reports=reports))
    runtime = ProcessRuntime(run)
    await runtime.open()
    _, site = await start(runtime, Tiny(modes=modes))
    told = {
        "supervisor": runtime._program.pid,
        "data": str(site.data),
        "temporary": str(runtime._temporary),
        "run": run.id,
        "main": int((site.data.parent / "log").read_text().split()[1]),
    }
    if "forked" in modes:
        told["copy"] = os.fork()
        if told["copy"] == 0:
            signal.sigwait({signal.SIGUSR1})
    sys.stdout.write(json.dumps(told) + "\n")
    sys.stdout.flush()
    await asyncio.sleep(60)


asyncio.run(main(*sys.argv[1:]))
