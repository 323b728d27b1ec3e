"""JUnit properties, Allure and GitHub."""

import json
import subprocess
import sys
import textwrap

import pytest

from pytest_enterprise import events
from pytest_enterprise.report import allure, github, junit
from pytest_enterprise.report.model import load_run


def test_junit_properties(demo):
    """Claim, controls, load, faults and every verdict become properties of the test."""
    mine = [e for e in events.read(demo) if "test_kill_one" in str(e.get("test"))]
    found = junit.properties(mine)
    assert ("enterprise.claim", "replica-failover") in found
    assert ("enterprise.control", "SOC2:A1.2") in found
    assert ("enterprise.load", "agent_service-1: 30 users, closed loop") in found
    assert ("enterprise.objective.recovery.during.kill-1", "held: 0.412 s, limit ≤ 3.000 s, 880 samples") in found
    assert any(name == "enterprise.fault" and value.startswith("kill-1: acted; pid") for name, value in found)


def test_junit_open_loop():
    """An open loop is told with its arrivals, and a generator that fell behind with why."""
    arrivals = {"kind": "poisson", "rate": 50, "poisson": True}
    found = junit.properties(
        [
            {"kind": "load.started", "load": "shop-1", "users": None, "arrivals": arrivals, "closed_loop": False},
            {"kind": "load.behind", "load": "shop-1", "reason": "9 of 90 arrivals were not made"},
        ]
    )
    assert found == [
        ("enterprise.load", "shop-1: poisson, 50 per second, open loop"),
        ("enterprise.load.behind", "shop-1: 9 of 90 arrivals were not made"),
    ]


def test_junit_sabotage(sabotaged):
    """A sabotaged run says which switch was on and what it showed."""
    found = dict(junit.properties(events.read(sabotaged)))
    assert found["enterprise.sabotage.idempotency_off"].startswith("survived: the scenario passed")


def test_github_annotations_are_escaped(builder):
    """Line breaks, colons, commas and percent signs keep their place in a workflow command."""
    build = builder()
    build.begin("tests/a,b.py::test_c[x:y]", claim="replica-failover")
    build.end("failed", "99 % at 10:00\nsecond line\r::error::forged")
    (line,) = github.workflow_commands(load_run(build.write()))
    assert line.startswith("::warning file=tests/a%2Cb.py,title=a%2Cb.py%3A%3Atest_c[x%3Ay]%3A not judged::")
    assert "99 %25 at 10:00" in line
    assert "\n" not in line
    assert "\r" not in line


def test_github_annotations_stand_at_the_line_of_the_test(builder):
    """Where the run recorded it; an older run has the file alone."""
    build = builder()
    build.begin("t.py::test_a", claim="replica-failover")
    build.events[-1]["line"] = 31
    build.end("failed", "no")
    (line,) = github.workflow_commands(load_run(build.write()))
    assert line.startswith("::warning file=t.py,line=31,title=t.py%3A%3Atest_a")


def test_github_summary_tells_what_did_not_hold(builder):
    """The message of the test, folded, as it was written; values with their intervals."""
    build = builder()
    build.begin("t.py::test_a", claim="replica-failover")
    build.emit(
        "objective.judged",
        test=build.test,
        objective="availability-during",
        phase="during",
        value=0.974,
        limit=0.995,
        comparison=">=",
        unit="share",
        outcome="broken",
        interval=[0.961, 0.983],
        samples=612,
    )
    build.end("failed", "availability-during: broken\n\n  at 6.000 s  <b>  HTTP 503\nagain: pytest t.py::test_a")
    text = github.step_summary(load_run(build.write()))
    assert "| availability-during | during | 97.4 % (96.1 % to 98.3 %) | ≥ 99.5 % | ✗ broken |" in text
    assert "<summary><code>t.py::test_a</code>: broken</summary>" in text
    assert "<pre>availability-during: broken\n&nbsp;\n  at 6.000 s  &lt;b&gt;  HTTP 503\nagain: pytest" in text


def test_github_where_the_summary_cannot_be_written(demo, tmp_path):
    """The run does not fail by it."""
    said = []
    environ = {"GITHUB_ACTIONS": "true", "GITHUB_STEP_SUMMARY": str(tmp_path)}
    assert github.publish(load_run(demo), said.append, environ=environ)
    assert said[-1] == "::warning::the step summary could not be written: Is a directory"


def test_github_levels(demo):
    """What broke is an error, what was not judged a warning; what held says nothing."""
    lines = github.workflow_commands(load_run(demo))
    assert [line.split()[0] for line in lines] == ["::error", "::warning"]
    assert "recovery" in lines[0]


def test_github_cap(hundreds):
    """GitHub shows ten annotations of a level: the tenth says how many more there are."""
    lines = github.workflow_commands(load_run(hundreds))
    assert len(lines) == 10
    assert lines[-1] == "::error::58 more did not hold; see the report"


def test_github_summary(demo, tmp_path):
    """The summary is appended once, with claims and verdicts; outside Actions nothing is written or said."""
    target = tmp_path / "summary.md"
    said = []
    report = load_run(demo)
    assert not github.publish(report, said.append, environ={"GITHUB_STEP_SUMMARY": str(target)})
    assert not target.exists()
    assert said == []
    target.write_text("before\n")
    assert github.publish(report, said.append, environ={"GITHUB_ACTIONS": "true", "GITHUB_STEP_SUMMARY": str(target)})
    text = target.read_text()
    assert text.startswith("before\n## ✗ 1 of 4 scenarios broke")
    assert "| recovery | during | 2.580 s | ≤ 2.000 s | ✗ broken |" in text
    assert "| When the registry's leader dies, no request fails. | ? not judged |" in text
    assert len(said) == 2


def test_github_summary_of_sabotage_and_hostile_names(builder):
    """Names cannot break the table nor become HTML."""
    build = builder()
    build.begin("t.py::test_a[|<b>]", claim="replica-failover", sabotage="off")
    build.emit("scenario.sabotaged", test=build.test, switch="off", objective="a|b", outcome="survived", detail="x")
    build.end("failed")
    text = github.step_summary(load_run(build.write()))
    assert "| <code>t.py::test_a[&#124;&lt;b&gt;]</code> | <code>off</code> | a\\|b | ✗ survived |" in text


def test_allure_is_left_alone_where_it_is_not(demo):
    """Without allure-pytest in the session nothing is imported and nothing is done."""
    assert not allure.attach(events.read(demo), demo) or allure.active()


def test_allure(demo, tmp_path):
    """With allure-pytest active, a test gets its labels, tags, link, verdicts, faults and chart."""
    pytest.importorskip("allure_pytest")
    path = demo / "events.jsonl"
    strengths = '"controls": ["SOC2:A1.2"], "strengths": {"SOC2:A1.2": ["failover", "direct"]}'
    path.write_text(path.read_text().replace('"controls": ["SOC2:A1.2"]', strengths))
    (tmp_path / "conftest.py").write_text(
        textwrap.dedent(f"""
        import pathlib, pytest
        from pytest_enterprise import events
        from pytest_enterprise.report import allure

        @pytest.hookimpl(wrapper=True, tryfirst=True)
        def pytest_runtest_makereport(item, call):
            report = yield
            if report.when == "call":
                directory = pathlib.Path({str(demo)!r})
                mine = [e for e in events.read(directory) if "test_kill_one" in str(e.get("test"))]
                assert allure.attach(mine, directory)
            return report
        """)
    )
    (tmp_path / "test_it.py").write_text("def test_it():\n    pass\n")
    done = subprocess.run(
        (sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--alluredir=results", "test_it.py"),
        cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    (result,) = (json.loads(path.read_text()) for path in (tmp_path / "results").glob("*-result.json"))
    labels = {(label["name"], label["value"]) for label in result["labels"]}
    assert {("claim", "replica-failover"), ("control", "SOC2:A1.2"), ("tag", "SOC2:A1.2")} <= labels
    assert ("control.direct", "SOC2:A1.2") in labels
    assert [link["url"] for link in result["links"]] == [(demo / "index.html").as_uri()]
    attached = {entry["name"]: tmp_path / "results" / entry["source"] for entry in result["attachments"]}
    assert set(attached) == {"objectives", "faults", "agent_service-1"}
    assert "availability-during,during,99.77 %,≥ 99.5 %,held" in attached["objectives"].read_text()
    assert attached["agent_service-1"].read_text().startswith("<svg")
