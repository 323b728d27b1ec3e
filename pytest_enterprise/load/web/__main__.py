"""``python -m pytest_enterprise.load.web``: Locust with its own options, and the page whatever the locustfile is."""

from __future__ import annotations

import os
from typing import Any

import gevent
from locust import events
from locust.main import main
from locust.runners import WorkerRunner

from pytest_enterprise.load.web import launch, page, workers


def _begin(environment: Any, **_: Any) -> None:
    parent = int(os.environ.get(launch.PARENT, 0))
    if isinstance(environment.runner, WorkerRunner):
        workers.install(environment)
        parent = os.getppid()  # its master

    def watch() -> None:
        while os.getppid() == parent:
            gevent.sleep(0.5)
        environment.events.quitting.fire(environment=environment, reverse=True)
        os._exit(3)

    if parent:
        gevent.spawn(watch)


if __name__ == "__main__":
    events.init.add_listener(page.install)  # type: ignore[no-untyped-call]
    events.init.add_listener(_begin)  # type: ignore[no-untyped-call]
    main()  # type: ignore[no-untyped-call]
