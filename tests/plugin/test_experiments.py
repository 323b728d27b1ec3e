"""Chaos Toolkit's experiment files as tests, beside what Chaos Toolkit itself says of them."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

CHAOS = Path(__file__).parent / "chaos"
FILES = sorted(path for path in CHAOS.iterdir() if path.suffix in (".json", ".yaml"))
FAIL = {
    "an_interruption": "the experiment interrupted",
    "continuously": "during the method, the probe 'nothing lies about' found true, which is not within false",
    "deviates": "after the method, the probe 'nothing lies about' found true, which is not within false",
    "not_steady_before": "before the method, the probe 'the shop is gone'",
    "rollbacks_always": "before the method, the probe 'something lies about' found false",
    "rollbacks_never": "the experiment deviated",
}
STRICTER = {"continuously", "not_steady_before", "rollbacks_always"}
"""A steady state that was missed before or during the method is a success to the library, and none to us."""
MARKS = {"rollbacks_never.mark", "rollbacks_always.mark"}
"""What those leave whose rollbacks did not run, or did."""


@pytest.fixture
def chaos(project, monkeypatch):
    """The project with the experiments in it."""
    shutil.copytree(CHAOS, project.path / "experiments")
    for name in ("helpers.py", "watcher.py"):
        (project.path / "experiments" / name).rename(project.path / name)
    monkeypatch.setenv("SHOP_TOKEN", "secret")
    monkeypatch.setenv("PYTHONPATH", str(project.path))
    claims = project.path / "claims.toml"
    claims.write_text(
        claims.read_text().replace("test_shop.py::test_swift", "experiments/slow_network.yaml::experiment")
    )
    return project


def test_every_experiment_comes_to_its_verdict(chaos, run):
    result = run("experiments", "-v")
    outcomes = {
        line.split(" ")[0]: line for line in result.outlines if "::experiment PASSED" in line or "FAILED" in line
    }
    for path in FILES:
        line = outcomes[f"experiments/{path.name}::experiment"]
        assert ("FAILED" in line) == (path.stem in FAIL), line
    text = result.stdout.str()
    for words in FAIL.values():
        assert words in text
    assert "Traceback" not in text
    assert {path.name for path in chaos.path.glob("*.mark")} == MARKS
    latest = chaos.path / "reports" / "latest"
    assert len(list((latest / "experiments").iterdir())) == len(FILES)
    events = [json.loads(line) for line in (latest / "events.jsonl").read_text().splitlines()]
    [slow] = [event for event in events if event["kind"] == "fault.ended"]
    assert slow["acted"]
    assert slow["test"] == "experiments/slow_network.yaml::experiment"
    assert "slow_network" in (latest / "index.html").read_text()
    result.stdout.fnmatch_lines(["*held*swift*"])


@pytest.mark.parametrize("path", [path for path in FILES if path.suffix == ".json"], ids=lambda path: path.stem)
def test_chaos_toolkit_itself_comes_to_the_same(chaos, server, path):
    extension = next(iter(json.loads(path.read_text()).get("extensions", ())), {})
    strategies = [f"--{name}={value}" for name, value in extension.items() if name.endswith("strategy")]
    done = subprocess.run(
        (Path(sys.executable).with_name("chaos"), "--no-version-check", "--no-log-file", "run", *strategies, path),
        cwd=chaos.path,
        env={**os.environ, "ENTERPRISE_URL_SHOP": server},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode != 0) == (path.stem in FAIL.keys() - STRICTER), done.stdout + done.stderr


def test_a_fault_that_met_nothing_fails_an_experiment_that_passes_over_it(chaos, run):
    experiment = json.loads((CHAOS / "an_action_that_fails.json").read_text())
    provider = {"type": "python", "module": "pytest_enterprise.experiments", "func": "begin_fault"}
    provider["arguments"] = {"fault": "latency", "target": "load -> shop", "settings": {"delay": 0.1}}
    experiment["method"] = [{"type": "action", "name": "slow", "provider": provider}]
    (chaos.path / "idle.json").write_text(json.dumps(experiment))
    result = run("idle.json")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*latency on load -> shop acted on nothing*"])


EXTENDED = (
    '{"title": "t", "description": "d", "method": [], "extensions": [{"name": "pytest-enterprise", %s}]}'  # one of ours
)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "*broken.json*"),
        ("[]", "*broken.json: *"),
        ('{"title": "t", "description": "d"}', "*an experiment needs 'method', and this one has none*"),
        (EXTENDED % '"rollback-strategy": "sometimes"', "*rollback-strategy 'sometimes' does not exist. *"),
        (EXTENDED % '"clam": 1', "*extension pytest-enterprise has no 'clam'. Did you mean 'claim'*"),
    ],
)
def test_files_that_are_no_experiments_are_told(project, run, text, message):
    (project.path / "broken.json").write_text(text)
    result = run("broken.json")
    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.stdout.fnmatch_lines([message])
    result.stdout.no_fnmatch_line("*Traceback*")


def test_other_json_files_are_left_alone(project, run):
    (project.path / "data.json").write_text("{}")
    assert run().ret == pytest.ExitCode.NO_TESTS_COLLECTED
