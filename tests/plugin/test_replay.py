"""An earlier run played again: same seed, same faults, and whether the outcome recurs."""

import subprocess
import sys

import pytest

SCENARIO = """
import pytest
from pytest_enterprise import Latency

@pytest.mark.scenario(claim="swift")
def test_swift(load, faults, objectives):
    with load("locustfile.py", users=5) as traffic:
        traffic.run_for(0.3)
        with faults.latency("load -> shop", 0.05) as slow:
            traffic.run_for(0.6)
    objectives.check(Latency(percentile=50, at_most={limit}, phase="during"), load=traffic, faults=[slow])

def test_without_faults():
    pass
"""


def replay(project, *arguments):
    return subprocess.run(
        (sys.executable, "-m", "pytest_enterprise.cli", "replay", *arguments),
        cwd=project.path,
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.mark.parametrize(("limit", "words"), [(0.5, "held"), (0.001, "broken (latency-p50-during)")])
def test_an_outcome_that_recurs(project, run, limit, words):
    project.makepyfile(test_shop=SCENARIO.format(limit=limit))
    run("--enterprise-seed=5")
    done = replay(project, "--times=2")
    assert done.returncode == 0, done.stderr
    assert f"test_shop.py::test_swift\n  {words}: recurred in 2 of 2" in done.stdout
    assert "test_without_faults" not in done.stdout
    runs = [path for path in (project.path / "reports").iterdir() if not path.is_symlink()]
    assert len(runs) == 3
    assert all('"seed": 5' in (path / "run.json").read_text() for path in runs)


def test_an_outcome_that_does_not_recur(project, run):
    project.makepyfile(test_shop=SCENARIO.format(limit=0.001))
    run()
    project.makepyfile(test_shop=SCENARIO.format(limit=0.5))
    done = replay(project, "--times=1")
    assert done.returncode == 1
    assert "recurred in 0 of 1\n  held: in 1 of 1" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("nowhere",), "nowhere is not a run directory"),
        (("reports/latest", "test_shop.py::test_swif"), "holds no test 'test_shop.py::test_swif'. Did you mean"),
        (("--times=0",), "--times 0: replay at least once"),
    ],
)
def test_mistakes_are_told_in_a_line(project, run, arguments, message):
    project.makepyfile(test_shop=SCENARIO.format(limit=0.5))
    if arguments != ("nowhere",):
        run()
    done = replay(project, *arguments)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr
