"""For all tests: pytester, which runs pytest on files of its own, and runs that end with the session."""

import os
import shutil
import signal

import pytest

from pytest_enterprise.run import Run
from pytest_enterprise.settings import Settings

pytest_plugins = "pytester"

# A job in the background of a script inherits that Ctrl-C is ignored, and so would everything that tests interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def new_run(tmp_path_factory):
    """Makes runs; settings by keyword."""
    made = []

    def new(**settings):
        settings.setdefault("reports", str(tmp_path_factory.mktemp("reports")))
        made.append(Run(Settings(**settings)))
        return made[-1]

    yield new
    for run in made:
        run.events.close()
        run.ports.release()


@pytest.fixture(scope="module")
def chromium():
    """A headless Chromium; skipped where there is none, which CI turns into a failure."""
    path = shutil.which("chromium")
    try:
        from playwright import sync_api
    except ImportError:
        path = None
    if path is None:
        missing = "needs Debian's chromium and Playwright: apt-get install chromium; pip install playwright"
        if os.environ.get("CI") == "true":
            pytest.fail(missing)
        pytest.skip(missing)
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=path,
            args=[
                "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
                "--disable-background-networking", "--disable-component-update", "--disable-sync",
            ],
        )  # fmt: skip
        yield browser
        browser.close()
