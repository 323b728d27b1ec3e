"""Comparisons of two versions: from events to a chart."""

import re
import xml.etree.ElementTree as ET

import pytest

from pytest_enterprise.report import comparison, html
from pytest_enterprise.report.model import load_run

S = 1_000_000_000


def judged(endpoint="POST /tasks", ratio=1.07, interval=(1.05, 1.09), outcome="regression", **fields):
    return {
        "comparison": "retries", "metric": "p99", "unit": "s", "better": "lower", "endpoint": endpoint, "ratio": ratio,
        "interval": interval, "confidence": 0.995, "margin": 0.03, "outcome": outcome, "blocks": [[1.0, 1.07]] * 12,
        "needed": None, "detectable": 0.05, "detail": "", **fields,
    }  # fmt: skip


def places(picture):
    """x of the margin's ends, of the interval's and of the ratio, for each line."""
    margins = [(int(x), int(x) + int(w)) for x, w in re.findall(r'class="mg" d="M(\d+) \d+h(\d+)', picture)]
    bars = [(int(x), int(x) + int(w)) for x, w in re.findall(r'class="iv \w+" d="M(\d+) \d+h(\d+)', picture)]
    return margins, bars, [int(x) for x in re.findall(r'cx="(\d+)"', picture)]


def test_bars_lie_to_the_margin_as_the_intervals_do():
    """A regression's bar is right of the margin, one that is not decided crosses it, the ratio lies in the bar."""
    lines = [
        comparison.read(judged()),
        comparison.read(judged("GET /", 1.02, (0.98, 1.06), "not decided")),
        comparison.read(judged("all", 1.0, (0.99, 1.01), "no change")),
        comparison.read(judged("PUT /", 0.8, (0.75, 0.85), "improved")),
    ]
    picture = comparison.render(lines)
    ET.fromstring(picture)
    margins, bars, dots = places(picture)
    assert bars[0][0] > margins[0][1]
    assert bars[1][0] < margins[1][1] < bars[1][1]
    assert margins[2][0] < bars[2][0] < bars[2][1] < margins[2][1]
    assert bars[3][1] < margins[3][0]
    assert all(low <= dot <= high for (low, high), dot in zip(bars, dots, strict=True))
    assert "✗ regression, 1.070" in picture


@pytest.mark.parametrize(
    "fields",
    [
        {"ratio": None, "interval": None, "outcome": "not decided"},
        {"ratio": 1e9, "interval": (1e-9, 1e9)},
        {"ratio": "much", "interval": [1], "margin": None, "confidence": "high", "blocks": 7},
        {"ratio": float("nan"), "interval": (2, 1), "margin": -1},
        {"endpoint": "<script>" * 20, "metric": '"><b>'},
    ],
)
def test_whatever_an_event_holds_has_a_chart(fields):
    """Missing, huge, damaged and hostile fields leave a chart within its frame."""
    picture = comparison.render([comparison.read(judged() | fields)])
    ET.fromstring(picture)
    assert "<script" not in picture
    _, bars, dots = places(picture)
    assert all(0 <= x <= 820 for pair in bars for x in pair)
    assert all(0 <= x <= 820 for x in dots)


def test_comparisons_stand_in_the_page(builder):
    """A scenario that compared shows chart and figures by comparison, and of its many loads the first only."""
    build = builder()
    build.begin("scenarios/test_a.py::test_b", claim="replica-failover")
    for _ in range(6):
        build.load(0.3)
    for endpoint in ("POST /tasks", "GET /tasks"):
        build.emit("comparison.judged", test=build.test, **judged(endpoint))
    build.emit("comparison.judged", test=build.test, **judged(comparison="proxy", outcome="improved"))
    build.judged("no-regression", 1.07, 1.03, "<=", "ratio", "broken")
    build.end("failed")
    report = load_run(build.write())
    assert [name for name, _ in comparison.groups(report.scenarios[0].compared)] == ["retries", "proxy"]
    page = html.render(report)
    assert page.count("<svg class=ch viewBox") == 2 + 4
    assert "1.050 to 1.090" in page
    assert "12 pairs of blocks" in page
    assert "6 loads were made for it" in page
