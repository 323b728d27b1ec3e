"""``python -m pytest_enterprise.load.web``: Locust with its own options, and the page whatever the locustfile is."""

from __future__ import annotations

from locust import events
from locust.main import main

from pytest_enterprise.load.web import page

if __name__ == "__main__":
    events.init.add_listener(page.install)  # type: ignore[no-untyped-call]
    main()  # type: ignore[no-untyped-call]
