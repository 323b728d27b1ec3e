"""``pytest-enterprise up``: holds a stack until it is interrupted."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from pytest_enterprise import stack_file
from pytest_enterprise.control import client
from pytest_enterprise.errors import ConfigurationError
from pytest_enterprise.live import LiveStack
from pytest_enterprise.load import checks
from pytest_enterprise.load.web import launch
from pytest_enterprise.run import Run
from pytest_enterprise.running import PROXY
from pytest_enterprise.settings import Settings


def up(
    settings: Settings, engines: Sequence[str] | None, *, seconds: float | None = None, web: launch.Page | None = None
) -> int:
    """Start the stack, print where everything is, wait for Ctrl-C or SIGTERM, and clean up.

    While it is held it can be asked, and faults begun, by its control interface; all are undone at the end. With
    ``web``, Locust's web UI runs beside it; when that ends, so does the stack.
    """
    if not settings.stack:
        raise ConfigurationError("up: no stack is declared; name a file, or set enterprise_stack in pyproject.toml")
    if web:
        checks.installed()
        web = web._replace(locustfile=checks.locustfile(web.locustfile))
        launch.check_objectives(web.objectives, web.window)
        launch.check_port(web.port)
    spec = stack_file.load(Path(settings.stack))
    run = Run(settings)
    run.write()
    run.events.emit("run.started", run=run.id, seed=run.seed, command=sys.argv)
    live = LiveStack(run, spec)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    status = 0
    try:
        with contextlib.ExitStack() as ending:
            ending.callback(live.close)
            began = time.monotonic()
            live.ensure(*(engines or ()))
            _say(f"ready in {time.monotonic() - began:.1f} s, run directory {run.directory}\n")
            for line in _table(live):
                _say(line)
            control = _serve_control(live, ending)
            process = _start_web(web, live, control, ending) if web else None
            _say("\nCtrl-C ends it.")
            ends = None if seconds is None else time.monotonic() + seconds
            while ends is None or time.monotonic() < ends:
                if process and process.poll() is not None:
                    status = process.returncode and 2
                    _say(f"\nLocust ended with exit status {process.returncode}, as told above; so the stack ends too")
                    break
                time.sleep(0.1)
    except KeyboardInterrupt:
        _say("\nending")
    finally:
        run.events.emit("run.finished", exit_status=status)
        run.finish()
    return status


def _serve_control(live: LiveStack, ending: contextlib.ExitStack) -> str:
    """Serve the control interface and tell where it is; the URL, empty without what it needs."""
    try:
        from pytest_enterprise.control.server import ControlServer
    except ImportError:
        _say("\nno control interface, and so no faults: pip install 'pytest-enterprise[proxy]'")
        return ""
    server = ControlServer(live)
    ending.callback(server.close)
    url = server.listen()
    told = client.announcement(live.run.directory.parent)
    partial = told.with_name(f"{told.name}.{live.run.id}")
    partial.write_text(json.dumps({"run": live.run.id, "control": url}) + "\n", encoding="utf-8")
    partial.replace(told)
    ending.callback(_retract, told, live.run.id)
    _say(f"\ncontrol  {url}  begins and ends faults; `pytest-enterprise load --web` finds it by itself")
    return url


def _retract(told: Path, run: str) -> None:
    """Remove what announced this stack, unless another one was announced meanwhile."""
    with contextlib.suppress(OSError, ValueError):
        if json.loads(told.read_text(encoding="utf-8"))["run"] == run:
            told.unlink()


def _start_web(
    web: launch.Page, live: LiveStack, control: str, ending: contextlib.ExitStack
) -> subprocess.Popen[bytes]:
    process = launch.start(web, directory=live.run.directory, environment={client.VARIABLE: control} if control else {})
    ending.callback(launch.end, process)
    _say(f"\nweb UI   {web.url}  begins the load; {web.url}/enterprise/ has charts, faults and objectives")
    return process


def _say(line: str) -> None:
    print(line, flush=True)  # noqa: T201


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
