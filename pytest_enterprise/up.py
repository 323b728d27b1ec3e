"""``pytest-enterprise up``: holds a stack until it is interrupted."""

from __future__ import annotations

import signal
import time
from collections.abc import Sequence
from pathlib import Path

from pytest_enterprise import stack_file
from pytest_enterprise.errors import ConfigurationError
from pytest_enterprise.live import LiveStack
from pytest_enterprise.run import Run
from pytest_enterprise.running import PROXY
from pytest_enterprise.settings import Settings


def up(settings: Settings, engines: Sequence[str] | None, *, seconds: float | None) -> int:
    """Start the stack, print where everything is, wait for Ctrl-C or SIGTERM, and clean up."""
    if not settings.stack:
        raise ConfigurationError("up: no stack is declared; name a file, or set enterprise_stack in pyproject.toml")
    spec = stack_file.load(Path(settings.stack))
    run = Run(settings)
    run.write()
    live = LiveStack(run, spec)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        began = time.monotonic()
        live.ensure(*(engines or ()))
        print(f"ready in {time.monotonic() - began:.1f} s, run directory {run.directory}\n")  # noqa: T201
        for line in _table(live):
            print(line)  # noqa: T201
        print("\nCtrl-C ends it.", flush=True)  # noqa: T201
        ends = None if seconds is None else time.monotonic() + seconds
        while ends is None or time.monotonic() < ends:
            time.sleep(0.1)
    except KeyboardInterrupt:
        print("\nending", flush=True)  # noqa: T201
    finally:
        live.close()
        run.finish()
    return 0


def _table(live: LiveStack) -> list[str]:
    running = live.running
    rows = [("engine", "port", "address", "through")]
    rows += [
        (link.server, "", f"http://{link.address}", "the fault proxy: give this to users and load")
        for link in running.links.values()
        if link.client == "load"
    ]
    for name in running.running:
        site = running.site(name)
        rows += [
            (name, port, str(address), "") for port, address in site.host.items() if name != PROXY or port == "control"
        ]
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
