"""Monitoring: questions to Prometheus."""

from __future__ import annotations

import json
import time
import urllib.parse
import urllib.request
from typing import TYPE_CHECKING, Any

from pytest_enterprise.errors import EnterpriseError

if TYPE_CHECKING:
    from pytest_enterprise.live import LiveStack


class Monitoring:
    """Prometheus, by its query interface."""

    def __init__(self, stack: LiveStack, engine: str) -> None:
        self._stack = stack
        self.engine = engine

    def _ask(self, expression: str) -> list[dict[str, Any]]:
        path = "/api/v1/query?" + urllib.parse.urlencode({"query": expression})
        with urllib.request.urlopen(self._stack.url(self.engine, path), timeout=5) as reply:
            answer: dict[str, Any] = json.load(reply)
        found: list[dict[str, Any]] = answer["data"]["result"]
        return found

    def query(self, expression: str) -> list[tuple[dict[str, str], float]]:
        """The labels and values of an instant query now."""
        return [(series["metric"], float(series["value"][1])) for series in self._ask(expression)]

    def sampled(self, selector: str, seconds: float) -> dict[str, list[tuple[float, float]]]:
        """What was scraped in the last ``seconds``, by instance: moments (of the time of day, in s) and values.

        ``selector`` names one metric (``process_open_fds{job="agent-service"}``), of which an instance has one series.
        """
        return {
            series["metric"]["instance"]: [(float(at), float(value)) for at, value in series["values"]]
            for series in self._ask(f"{selector}[{round(seconds * 1000)}ms]")
        }

    def wait_until(self, expression: str, *, timeout: float = 10.0) -> float:
        """Wait until an expression (a comparison) gives any series; returns the seconds it took."""
        began = time.monotonic()
        while not self.query(expression):
            if time.monotonic() - began > timeout:
                raise EnterpriseError(f"{expression!r} held for no series within {timeout:g} s")
            time.sleep(0.05)
        return time.monotonic() - began
