"""A nightly job's thresholds: objectives from a file, and what is told when one does not hold."""

OBJECTIVES = """
[tool.pytest-enterprise.objectives]
shop.served = {kind = "Availability", at_least = 0.9, phase = "whole"}
shop.quick = {kind = "Latency", percentile = 50, at_most = 1e-6}
"""
TEST = '''
def test_the_shop(load, faults, objectives):
    """The shop is quick."""
    with load("locustfile.py", users=5) as traffic:
        traffic.run_for(0.3)
        with faults.latency("load -> shop", 0.02) as slow:
            traffic.run_for(0.8)
    objectives.check("shop", load=traffic, faults=[slow])
'''


def test_a_broken_objective_is_told_whole(project, run, monkeypatch):
    """What, in which phase, by how much, what the fault did, the worst requests with their traces, how to run again;

    to GitHub at the line of the test, with a summary that holds the message.
    """
    project.makepyprojecttoml(OBJECTIVES)
    project.makepyfile(test_shop=TEST)
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(project.path / "summary.md"))
    result = run("--enterprise-seed=7")
    assert result.ret == 1
    result.stdout.re_match_lines(
        [
            r".*1 of 2 objectives did not hold: quick",
            r".*quick: broken: 0\.\d+ s .*, limit at most 0\.001 ms, \d+ samples",
            r".*during latency on load -> shop \(main-\d+: .*, delay 0\.02\), from .* s to .* s of the load",
            r".*worst requests:",
            r".* at \d\.\d+ s  GET /  0\.\d+ s  ok  .* latency on load -> shop  trace [0-9a-f]{32}",
            r".*again: pytest test_shop.py::test_the_shop --enterprise-seed=7 --enterprise-runtime=process",
            r"::error file=test_shop.py,line=1,title=test_shop.py%3A%3Atest_the_shop%3A .*",
        ]
    )
    summary = (project.path / "summary.md").read_text()
    assert "| quick | during | " in summary
    assert "<pre>1 of 2 objectives did not hold: quick" in summary


def test_a_group_that_is_not_there_is_told_without_a_traceback(project, run):
    """The nearest is named."""
    project.makepyprojecttoml(OBJECTIVES)
    project.makepyfile(test_shop=TEST.replace('"shop", load', '"shopp", load'))
    result = run()
    assert result.ret == 1
    result.stdout.fnmatch_lines(["*there are no objectives 'shopp'. Did you mean 'shop'?*"])
    assert "Traceback" not in result.stdout.str()
