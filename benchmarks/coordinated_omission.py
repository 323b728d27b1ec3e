"""Makes the two charts of ``docs/how-to/open-loop.md`` from real runs: one stall, by a closed and by an open loop.

Run it: ``python benchmarks/coordinated_omission.py``; 45 seconds. It prints what each loop reported and what was true.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from open_loop import LOCUSTFILE
from truthful_server import running

from pytest_enterprise.load.generator import Load
from pytest_enterprise.load.statistics import percentile
from pytest_enterprise.report import chart
from pytest_enterprise.report.model import load_run
from pytest_enterprise.report.parts import Scenario
from pytest_enterprise.run import Run
from pytest_enterprise.settings import Settings

PICTURES = Path(__file__).parents[1] / "docs" / "how-to"
STALL = {"kind": "stall", "at": 9.0, "lasting": 2.0}
SECONDS = 20.0
LOOPS: dict[str, dict[str, Any]] = {"closed-loop": {"users": 10}, "open-loop": {"arrivals": 100}}
"""A hundred requests per second each."""


def draw(folder: Path, name: str) -> tuple[float, float]:
    """The 99th percentiles in seconds: as the load reported it, and as the server saw it."""
    locustfile = folder / "visitor.py"
    locustfile.write_text(LOCUSTFILE)
    run = Run(Settings(reports=str(folder), seed=1))
    run.events.emit("test.started", test=name, suite="", scenario=False)
    with running(STALL) as server:
        with Load(run, name)(locustfile, host=server.url, seconds=SECONDS, **LOOPS[name]) as traffic:
            traffic.wait(60)
        truth = server.truth()
    began = round((truth.began + STALL["at"]) * 1e9)
    told = {"fault": "stall-1", "test": name}
    run.events.emit("fault.began", **told, fault_kind="stall", target="of the server", began=began)
    run.events.emit("fault.ended", **told, ended=began + round(STALL["lasting"] * 1e9), proof="acted", acted=True)
    run.events.emit("test.finished", test=name, outcome="passed", seconds=SECONDS)
    run.finish(exit_status=0)
    [scenario] = load_run(run.directory).tests
    (PICTURES / f"{name}.svg").write_text(picture(scenario) + "\n", encoding="utf-8")
    return percentile(sorted(request.latency for request in traffic.records()), 99) or 0, truth.percentile(99)


def picture(scenario: Scenario) -> str:
    """The chart of its only load."""
    return chart.render(scenario.loads[0], scenario.faults, scenario.moments, brief=True, alone=True)


if __name__ == "__main__":
    for name in LOOPS:
        with tempfile.TemporaryDirectory() as folder:
            reported, true = draw(Path(folder), name)
        print(f"{name}: p99 {reported * 1e3:,.0f} ms reported, {true * 1e3:,.0f} ms at the server")  # noqa: T201
