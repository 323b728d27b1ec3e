"""Comparisons in a user's session: the fixtures, the events for reports, and pytest-benchmark beside them."""

import json
import sys
from pathlib import Path

import pytest

BENCHMARK = """
import time

def test_pace(benchmark):
    benchmark.pedantic(time.sleep, args=({seconds},), rounds=5)
"""
OPTIONS = ("--benchmark-autosave", "--enterprise-benchmark-fail=25%")


def events(project):
    path = project.path / "reports" / "latest" / "events.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_compare_needs_no_stack_and_fails_a_test_with_a_regression(pytester):
    pytester.makepyfile(
        """
        def test_slower(compare):
            compare(lambda: [1.0], lambda: [1.1], name="versions").check()

        def test_same(compare, baseline):
            compare(lambda: [1.0], lambda: [1.0]).check()
            baseline("pace", 1.0).check(must_decide=False)
        """
    )
    result = pytester.runpytest_subprocess("-v", "-p", "no:cacheprovider", timeout=60)
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["*versions, median of all: 1.100 times (1.100 to 1.100): regression"])
    result.stdout.fnmatch_lines(["*ObjectiveBroken*", "*broken*no-regression-median-versions*1.1 times*1.03 times*"])
    judged = [event for event in events(pytester) if event["kind"] == "comparison.judged"]
    assert [(event["comparison"], event["outcome"]) for event in judged] == [
        *(("versions", "regression"), ("comparison 1", "no change"), ("baseline pace", "not decided"))
    ]
    assert judged[0]["blocks"] == [[1.0, 1.1]] * 12
    assert (pytester.path / ".enterprise-baselines" / "pace.jsonl").exists()


def test_stored_runs_of_pytest_benchmark_judge_a_slower_one(pytester):
    """Its storage and compare command keep working; a regression fails the session and is no baseline for later."""
    pytester.makepyfile(test_pace=BENCHMARK.format(seconds=0.01))
    for _ in range(6):
        result = pytester.runpytest_subprocess("-p", "no:cacheprovider", *OPTIONS, timeout=60)
        assert result.ret == 0
    result.stdout.fnmatch_lines(["*5 earlier runs, 6 needed*", "*--benchmark-autosave*"])
    # The spread of these runs is the machine's: set for certain, so that no busy moment decides.
    stored = sorted(pytester.path.glob(".benchmarks/*/*.json"))
    for number, path in enumerate(stored):
        document = json.loads(path.read_text())
        document["benchmarks"][0]["stats"]["median"] = 0.0101 + 0.00005 * (number % 3)
        path.write_text(json.dumps(document))
    pytester.makepyfile(test_pace=BENCHMARK.format(seconds=0.05))
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider", *OPTIONS, "--benchmark-compare", timeout=60)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["*benchmarks against stored runs*", "regression: median of test_pace.py::test_pace*"])
    last = json.loads(max(pytester.path.glob(".benchmarks/*/*.json")).read_text())
    assert last["enterprise_regressions"] == ["test_pace.py::test_pace"]
    compared = pytester.run(Path(sys.executable).with_name("pytest-benchmark"), "compare")
    assert compared.ret == 0
    compared.stdout.fnmatch_lines(["*test_pace (0007*"])


@pytest.mark.parametrize(("rule", "told"), [("fast", "3% or FIELD:3%"), ("mode:3%", "median")])
def test_a_rule_that_cannot_be_meant_is_told(pytester, rule, told):
    result = pytester.runpytest_subprocess(f"--enterprise-benchmark-fail={rule}", timeout=60)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"*--enterprise-benchmark-fail*{told}*"])


def test_without_pytest_benchmark_its_judge_says_what_is_missing(pytester):
    result = pytester.runpytest_subprocess("-p", "no:benchmark", "--enterprise-benchmark-fail=3%", timeout=60)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*pip install pytest-benchmark*"])
