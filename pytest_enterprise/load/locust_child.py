"""The program in which Locust runs: ``python -m pytest_enterprise.load.locust_child FD``.

Lines of JSON on stdin: first the settings, then commands (``{"do": "stop"}``, ``{"do": "users", "count": 5, "rate":
5}``). Lines of JSON on the descriptor FD: ``ready``, ``progress`` four times a second, ``error``, ``finished``. It
leaves at once when stdin ends, that is when whoever started it is gone.
"""

from __future__ import annotations

import os
import sys
from _thread import start_new_thread
from collections import deque
from collections.abc import Callable
from json import dumps, loads
from pathlib import Path
from time import monotonic_ns, process_time, sleep
from typing import Any, NoReturn

# Nothing above may import threading, ssl or socket: importing locust replaces what they offer, and must come first.

TICK = 0.25
"""Seconds between flushes of the records and progress events."""
ABANDONED = 3
"""Exit status when the parent is gone."""


class Control:
    """Commands in, events out. Commands come through a native thread, which no greenlet can hold up."""

    def __init__(self, events: int) -> None:
        self._events = events
        self._rest = b""
        self._commands: deque[dict[str, Any]] = deque()
        self.wake: Callable[[], None] = lambda: None
        self.leaving = False

    def _line(self) -> bytes:
        while b"\n" not in self._rest:
            more = os.read(0, 65536)
            if not more:
                return b""
            self._rest += more
        line, _, self._rest = self._rest.partition(b"\n")
        return line

    def settings(self) -> dict[str, Any]:
        """The first line."""
        line = self._line()
        if not line:
            os._exit(ABANDONED)
        settings: dict[str, Any] = loads(line)
        start_new_thread(self._listen, ())
        return settings

    def _listen(self) -> None:
        while line := self._line():
            self._commands.append(loads(line))
            self.wake()
        if self.leaving:
            sleep(2)  # the original: a native thread
        os._exit(ABANDONED)

    def commands(self) -> list[dict[str, Any]]:
        """What came since the last call."""
        found = []
        while self._commands:
            found.append(self._commands.popleft())
        return found

    def emit(self, event: str, **fields: Any) -> None:
        """Tell the parent."""
        line = dumps({"event": event, "t": monotonic_ns(), **fields}, default=str) + "\n"
        try:
            os.write(self._events, line.encode())
        except BrokenPipeError:
            os._exit(ABANDONED)

    def fail(self, message: str) -> NoReturn:
        """Tell why there will be no load, and leave."""
        self.emit("error", message=message)
        self.leaving = True
        sys.exit(1)


def _import(locustfile: str, control: Control) -> tuple[dict[str, Any], list[Any]]:
    from locust.util.load_locustfile import load_locustfile

    try:
        found: tuple[dict[str, Any], list[Any]] = load_locustfile(locustfile)
    except BaseException as error:  # SystemExit too: a locustfile may call sys.exit
        import traceback

        traceback.print_exc()
        frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == locustfile]
        at = f"\n  {locustfile}:{frames[-1].lineno}: {frames[-1].line}" if frames else ""
        control.fail(f"locustfile {locustfile} raised {type(error).__name__} when imported: {error}{at}")
    return found


def _choose(available: dict[str, Any], names: list[str], locustfile: str, control: Control) -> list[Any]:
    from pytest_enterprise.errors import nearest

    if not available:
        control.fail(
            f"locustfile {locustfile} has no user class; define one that derives from locust.FastHttpUser or "
            "pytest_enterprise.load.users.EnterpriseUser and does not set abstract = True"
        )
    for name in names:
        if name not in available:
            control.fail(f"locustfile {locustfile} has no user class {name!r}. {nearest(name, available)}")
    return [available[name] for name in names] if names else list(available.values())


def _options(given: dict[str, Any], locustfile: str, control: Control) -> Any:
    from locust.argument_parser import default_args_dict, get_parser

    from pytest_enterprise.errors import nearest

    # Settings files and environment variables of Locust are for people at its command line.
    options = get_parser(default_config_files=[]).parse_args(args=[], env_vars={})
    own = set(vars(options)) - set(default_args_dict())
    for name, value in given.items():
        if name not in own:
            control.fail(f"locustfile {locustfile} has no option {name!r}. {nearest(name, own)}")
        setattr(options, name, value)
    return options


def _check_rates(classes: list[Any], options: Any, locustfile: str, control: Control) -> None:
    """Of a closed loop, before any user is made: one that cannot be made would be no load and no error."""
    from pytest_enterprise.errors import ConfigurationError
    from pytest_enterprise.load.pace import Paced, checked_rate

    for kind in classes:
        if issubclass(kind, Paced):
            try:
                checked_rate(kind, options.rate)
            except ConfigurationError as error:
                control.fail(f"locustfile {locustfile}: {error}")


def _open(settings: dict[str, Any], options: Any, classes: list[Any], control: Control) -> None:
    """Make the loop an open one, where arrivals are asked for."""
    if not settings["arrivals"]:
        return
    from pytest_enterprise.load.pace import Paced

    for kind in classes:
        if not issubclass(kind, Paced):
            control.fail(
                f"user class {kind.__name__} of locustfile {settings['locustfile']} does not derive from a "
                "user class of pytest_enterprise.load (such as users.EnterpriseUser), which arrivals need; derive it, "
                "or give users= alone"
            )
    options.arrivals = dumps(settings["arrivals"])
    options.arrivals_at_most = settings["users"] or options.arrivals_at_most
    options.arrivals_seed = settings["seed"]


def main() -> None:
    """Run one load as the parent says."""
    control = Control(int(sys.argv[1]))
    settings = control.settings()
    import random

    import gevent
    import locust
    from gevent.event import Event

    from pytest_enterprise.load.locust_runner import QuickRunner, RecordedEnvironment
    from pytest_enterprise.load.recorder import Recorder

    _log()
    _allow_many_connections()
    locustfile = settings["locustfile"]
    random.seed(settings["seed"])  # for what is drawn while the locustfile is imported
    available, shapes = _import(locustfile, control)
    classes = _choose(available, settings["classes"], locustfile, control)
    options = _options(settings["options"], locustfile, control)
    _check_rates(classes, options, locustfile, control)
    _open(settings, options, classes, control)
    closed = not settings["arrivals"]
    shape = shapes[0] if shapes and closed and settings["users"] is None else None
    users = (closed and settings["users"]) or 1  # an open loop makes them as it needs them
    random.seed(settings["seed"])
    recorder = Recorder(Path(settings["record"]), settings["seed"])
    environment = RecordedEnvironment(
        recorder,
        user_classes=classes,
        shape_class=shape,
        events=locust.events,
        host=settings["host"],
        parsed_options=options,
        locustfile=Path(locustfile).name,
    )
    events: Any = environment.events
    events.request.add_listener(recorder.on_request)
    _tell_of_errors(recorder)
    runner = environment._create_runner(QuickRunner)  # noqa: SLF001  create_local_runner takes no class
    ended = Event()
    reason = ["stopped itself"]
    events.test_stop.add_listener(lambda **_: ended.set())

    def stop(why: str) -> None:
        if reason[0] == "stopped itself":
            reason[0] = why
        if environment.enterprise_dispatcher:  # before Locust takes its time
            environment.enterprise_dispatcher.end()
        runner.stop()

    def obey() -> None:
        for command in control.commands():
            if command["do"] == "stop":
                gevent.spawn(stop, "asked")
            elif command["do"] == "users" and not ended.is_set():
                runner.start(command["count"], spawn_rate=command["rate"])

    hub = gevent.get_hub()
    waker = hub.loop.async_()
    waker.start(lambda: gevent.spawn(obey))
    control.wake = waker.send
    gevent.signal_handler(15, stop, "terminated")
    environment.arrivals_ended = lambda: stop("arrivals")
    events.init.fire(environment=environment, runner=runner, web_ui=None)
    control.emit("ready", classes=[cls.__name__ for cls in classes], locust=locust.__version__)
    if shape is not None:
        reason[0] = "shape"
        runner.start_shape()
    else:
        runner.start(users, spawn_rate=settings["spawn_rate"] or users)
    obey()  # what came before the waker was there
    if settings["seconds"]:
        hub.loop.update_now()  # timers count from the loop's last turn, which was before the imports
        gevent.spawn_later(settings["seconds"], stop, "seconds")

    def progress() -> dict[str, Any]:
        told = {"requests": recorder.requests, "failures": recorder.failures, "users": runner.user_count}
        dispatcher = environment.enterprise_dispatcher
        return {**told, "arrivals": dispatcher.figures} if dispatcher else told

    try:
        while not ended.wait(TICK):
            recorder.flush()
            control.emit("progress", **progress())
            if os.getppid() != settings["parent"]:
                os._exit(ABANDONED)
        runner.quit()
        events.quitting.fire(environment=environment, reverse=True)
        recorder.close()
    except OSError as error:
        from pytest_enterprise.errors import cannot_write

        control.fail(str(cannot_write(f"{settings['record']}.requests", error)))
    control.leaving = True
    control.emit(
        "finished",
        reason=reason[0],
        cpu_seconds=process_time(),
        user_errors=dict(recorder.user_errors.most_common(20)),
        **progress(),
    )


def _tell_of_errors(recorder: Any) -> None:
    """Count whatever the locustfile raises: in a task, when a user is made or stopped, in a listener of an event."""
    import logging

    import gevent
    import locust

    events: Any = locust.events
    events.user_error.add_listener(recorder.on_user_error)
    hub = gevent.get_hub()
    report = hub.handle_error

    def handle_error(context: Any, kind: Any, error: Any, at: Any) -> None:
        if isinstance(error, Exception):
            recorder.on_user_error(error)
        report(context, kind, error, at)

    hub.handle_error = handle_error

    class OfListeners(logging.Handler):
        """Locust catches what listeners raise and logs it, which is the only trace."""

        def emit(self, record: logging.LogRecord) -> None:
            error = sys.exc_info()[1]
            if error is not None and record.getMessage().startswith("Uncaught exception in event handler"):
                recorder.on_user_error(error)

    logging.getLogger().addHandler(OfListeners(logging.ERROR))


def _allow_many_connections() -> None:
    import resource

    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _log() -> None:
    import logging

    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")


if __name__ == "__main__":
    main()
