"""The program of the engine: ``python -m pytest_enterprise.load.native FD``.

Lines of JSON on stdin: first the settings, then commands (``{"do": "stop"}``). Lines of JSON on the descriptor FD:
``ready``, ``progress`` four times a second, ``error``, ``finished``.
"""

from __future__ import annotations

import asyncio
import gc
import os
import resource
import signal
import sys
import traceback
from functools import partial
from importlib import import_module
from pathlib import Path
from random import Random
from time import process_time
from typing import Any
from urllib.parse import urlsplit

from pytest_enterprise.errors import ConfigurationError, cannot_write
from pytest_enterprise.load.arrivals import from_document
from pytest_enterprise.load.exemplars import Exemplars
from pytest_enterprise.load.native import kinds
from pytest_enterprise.load.native.control import Control
from pytest_enterprise.load.native.dispatcher import Dispatcher
from pytest_enterprise.load.native.pool import Pool
from pytest_enterprise.load.records import RecordWriter

TICK = 0.25
"""Seconds between flushes of the records and progress events."""
BROKEN = 70
"""Exit status when the engine itself failed."""


class Program:
    """One load, as the parent says."""

    def __init__(self, control: Control, settings: dict[str, Any]) -> None:
        self._control = control
        self._settings = settings
        self._loop = _new_loop()
        self._loop.set_exception_handler(_broken)
        base = urlsplit(settings["host"])
        protocol = import_module(kinds.of_host(settings["host"]).module).protocol(settings, base)
        self._makes_cycles, self._at_once = protocol.makes_cycles, protocol.at_once
        self._writer = RecordWriter(Path(settings["record"]))
        self._exemplars = Exemplars(Path(settings["record"]))
        seed = settings["seed"]
        self._pool = Pool(
            self._loop,
            protocol.connect,
            settings["connections"],
            self._writer,
            self._exemplars,
            Random(f"{seed}/payloads"),
            protocol.at_once,
        )
        self._dispatcher = Dispatcher(
            self._loop,
            self._pool,
            protocol.plans,
            moments=from_document(settings["arrivals"]).times(Random(f"{seed}/arrivals")),
            seconds=settings["seconds"],
            timeout=settings["timeout"],
            random=Random(f"{seed}/requests"),
            over=self._over,
        )

    def run(self) -> None:
        """Until the load has ended."""
        loop = self._loop
        self._control.listen(loop, self._obey)
        loop.add_signal_handler(signal.SIGTERM, partial(self._dispatcher.stop, "terminated"))
        gc.collect()
        gc.freeze()
        if not self._makes_cycles:
            gc.disable()  # a collection would hold up everything that is due
        loop.call_soon(self._begin)
        loop.run_forever()

    def _begin(self) -> None:
        """The first requests are sent within the loop too: gRPC's library asks which one runs."""
        self._dispatcher.start(self._control.emit("ready"))
        self._loop.call_later(TICK, self._tick)

    def _obey(self, command: dict[str, Any]) -> None:
        if command["do"] == "stop":
            self._dispatcher.stop("asked")

    def _progress(self) -> dict[str, Any]:
        return {
            "requests": self._writer.count,
            "failures": self._pool.failures,
            "users": self._pool.under_way,
            "connections": -(-self._pool.open // self._at_once),
            "arrivals": self._dispatcher.figures,
        }

    def _tick(self) -> None:
        self._flush()
        self._control.emit("progress", **self._progress())
        if os.getppid() != self._settings["parent"]:
            os._exit(3)
        self._loop.call_later(TICK, self._tick)

    def _flush(self) -> None:
        try:
            self._writer.flush()
            self._pool.note_slow()
            self._exemplars.flush()
        except OSError as error:
            self._control.fail(str(cannot_write(f"{self._settings['record']}.requests", error)))

    def _over(self, reason: str) -> None:
        self._flush()
        self._exemplars.close()
        self._control.emit("finished", reason=reason, cpu_seconds=process_time(), user_errors={}, **self._progress())
        self._loop.stop()


def _new_loop() -> asyncio.AbstractEventLoop:
    try:
        import uvloop
    except ImportError:  # not for this interpreter
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()


def _broken(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """An error of the engine itself would lose requests: leave, so that the load fails with its last lines."""
    print(context["message"], file=sys.stderr)  # noqa: T201
    if error := context.get("exception"):
        traceback.print_exception(error)
    sys.stderr.flush()
    os._exit(BROKEN)


def main() -> None:
    """Run one load as the parent says."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    control = Control(int(sys.argv[1]))
    settings = control.settings()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    try:
        program = Program(control, settings)
    except ConfigurationError as error:
        control.fail(str(error))
    program.run()
