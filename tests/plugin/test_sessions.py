"""What users see of a session: scenarios, verdicts, reports, and clear words for mistakes."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from xml.etree import ElementTree

import pytest

SWIFT = """
import pytest
from pytest_enterprise import Latency

@pytest.mark.performance
@pytest.mark.control("SOC2:A1.1")
@pytest.mark.scenario(claim="swift", sabotage={"slow": "latency-p50-during"})
def test_swift(load, faults, objectives):
    with load("locustfile.py", users=5) as traffic:
        traffic.run_for(0.3)
        with faults.latency("load -> shop", 0.02) as slow:
            traffic.run_for(0.8)
    objectives.check(Latency(percentile=50, at_most=0.3, phase="during"), load=traffic, faults=[slow])
"""


def test_a_run_without_our_fixtures_leaves_nothing(project, run):
    project.makepyfile(test_plain="def test_plain(): pass")
    run().assert_outcomes(passed=1)
    assert not (project.path / "reports").exists()


def test_a_scenario_from_start_to_report(project, run):
    project.makepyfile(test_shop=SWIFT)
    result = run("-v", "--junitxml=out.xml")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(
        [
            "*load *: 5 users, closed loop, on http://127.0.0.1:*",
            "*latency on load -> shop begins*",
            "*= enterprise =*",
            "*held*test_swift*",
            "*held*latency-p50-during*",
            "*held*swift*",
            "*index.html",
        ]
    )
    directory = project.path / "reports" / "latest"
    assert "test_swift" in (directory / "index.html").read_text()
    kinds = [json.loads(line)["kind"] for line in (directory / "events.jsonl").read_text().splitlines()]
    assert [kind for kind in kinds if kind.startswith(("test.", "fault.", "run."))] == [
        *("run.started", "test.started", "fault.began", "fault.ended", "fault.recovered"),
        *("test.finished", "run.finished"),
    ]
    for path in (project.path / "out.xml", directory / "junit.xml"):
        found = {one.get("name"): one.get("value") for one in ElementTree.parse(path).iter("property")}
        assert found["enterprise.claim"] == "swift"
        assert found["enterprise.control"] == "SOC2:A1.1"
        assert any(name.startswith("enterprise.objective.latency-p50") for name in found)


def test_what_the_machine_cannot_do_is_a_skip_with_the_reason_unless_it_must_not_be(project, run):
    project.makepyfile(
        test_shop="""
        from pytest_enterprise.errors import MachineCannot
        def test_it(faults): raise MachineCannot("no FUSE: modprobe fuse")
        """
    )
    skipped = run("-rs", "--enterprise-unable=skip")
    skipped.assert_outcomes(skipped=1)
    skipped.stdout.fnmatch_lines(["SKIPPED*test_shop.py:*: no FUSE: modprobe fuse"])
    failed = run("--enterprise-unable=fail")
    failed.assert_outcomes(failed=1)
    failed.stdout.fnmatch_lines(["MachineCannot: no FUSE: modprobe fuse"])
    failed.stdout.no_fnmatch_line("*Traceback*")


def test_a_first_test_that_is_no_scenario_is_recorded_from_its_start(project, run):
    project.makepyfile(test_shop="def test_it(faults): pass")
    run().assert_outcomes(passed=1)
    events = (project.path / "reports" / "latest" / "events.jsonl").read_text()
    assert [json.loads(line)["kind"] for line in events.splitlines()].count("test.started") == 1


def test_sabotage_must_break_the_named_objective(project, run):
    project.makepyfile(test_shop=SWIFT)
    conftest = project.path / "conftest.py"
    text = conftest.read_text()
    conftest.write_text(text + "\ndef pytest_enterprise_switch(stack, switch, on):\n    return True\n")
    result = run("--enterprise-sabotage")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*the scenario passed with slow on*"])
    conftest.write_text(
        text + "\ndef pytest_enterprise_switch(stack, switch, on):\n"
        "    link = 'load -> shop'\n"
        "    if on:\n"
        "        late = {'latency': 400}\n"
        "        stack.ensure().proxy.add_toxic(link, 'latency', stream='downstream', attributes=late, name='s')\n"
        "    else:\n"
        "        stack.proxy.remove_toxic(link, 's')\n"
        "    return True\n"
    )
    result = run("--enterprise-sabotage")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["*caught*slow, must break latency-p50-during*"])


def test_workers_make_one_report(project, run):
    project.makepyfile(
        test_shop=SWIFT.replace("def test_swift(", "@pytest.mark.parametrize('n', range(3))\ndef test_swift(n, ")
    )
    run("-n", "2").assert_outcomes(passed=3)
    [directory] = [path for path in (project.path / "reports").iterdir() if not path.is_symlink()]
    assert (directory / "index.html").exists()
    assert {path.name for path in (directory / "engines").iterdir()} == {"gw0", "gw1"}


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (
            "faults.latency('load -> shp', 0.1).begin()",
            "*no link is named 'load -> shp'. Did you mean 'load -> shop'?*",
        ),
        ("faults.latency('load -> shop', -1)", "*delay=-1*"),
        ("faults.latency('load -> shop', float('nan'))", "*delay=nan*"),
        ("faults.kill('nobody').begin()", "*no instance is named 'nobody'*"),
        ("faults.kill('shop').begin()", "*shop*external*"),
        ("faults.cut('load -> shop').begin(); faults.latency('load -> shop', 0.1).begin()", "*latency*cut*"),
        ("load('nowhere.py').begin()", "*nowhere.py*"),
        ("load('broken.py').begin()", "*broken.py*"),
        ("load('empty.py').begin()", "*empty.py*"),
    ],
)
def test_mistakes_in_a_test_are_told_without_a_traceback(project, run, body, message):
    (project.path / "broken.py").write_text("def (:\n")
    (project.path / "empty.py").write_text("x = 1\n")
    project.makepyfile(test_shop=f"def test_it(load, faults):\n    {body}\n")
    result = run("-q")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines([message])
    result.stdout.no_fnmatch_line("*Traceback*")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--enterprise-seed=x"], "*ERROR: *--enterprise-seed: 'x' is not a seed*"),
        (["--enterprise-reports=conftest.py"], "*cannot write *--enterprise-reports DIR*"),
        (["--enterprise-claims=conftest.py"], "*conftest.py*"),
    ],
)
def test_mistakes_in_options_are_usage_errors(project, run, arguments, message):
    project.makepyfile(test_shop=SWIFT)
    result = run(*arguments)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    (result.stderr if any("ERROR" in line for line in result.stderr.lines) else result.stdout).fnmatch_lines([message])


def test_unknown_claims_and_listed_scenarios_that_do_not_exist_are_usage_errors(project, run):
    project.makepyfile(test_shop=SWIFT.replace('claim="swift"', 'claim="swfit"'))
    result = run()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*'swfit'*swift*"])
    project.makepyfile(test_shop=SWIFT.replace("test_swift(", "test_other("))
    result = run()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*test_other names the claim 'swift', which does not list it*"])
    project.makepyfile(test_shop="def test_other(): pass\n", test_more=SWIFT.replace("test_swift(", "test_more("))
    claims = project.path / "claims.toml"
    claims.write_text(claims.read_text().replace('_swift"]', '_swift", "test_more.py::test_more"]'))
    result = run()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*lists test_shop.py::test_swift, which does not exist*"])


def test_a_scenario_that_judges_nothing_fails(project, run):
    project.makepyfile(test_shop="import pytest\n@pytest.mark.scenario(claim='swift')\ndef test_swift(): pass\n")
    result = run()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*judged no objective, so it proves nothing*"])


def test_a_fault_that_met_nothing_is_an_error_and_all_are_undone_when_a_test_fails(project, run):
    project.makepyfile(
        test_shop="""
        import urllib.request

        def test_idle(faults):
            with faults.latency("load -> shop", 0.1):
                pass

        def test_fails(stack, faults):
            faults.cut("load -> shop").begin()
            assert False

        def test_well_again(stack):
            assert urllib.request.urlopen(stack.url("shop"), timeout=2).read() == b"hello"
        """
    )
    result = run()
    assert result.parseoutcomes()["passed"] == 1
    result.stdout.fnmatch_lines(["*latency on load -> shop*"])


def test_a_load_that_still_runs_is_ended_with_its_test(project, run):
    project.makepyfile(
        test_shop="""
        def test_leaves_it_running(load):
            load("locustfile.py", users=2).begin().wait_for_requests(3)
        """
    )
    result = run()
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["LoadFailed: the test ended while its load still ran*"])
    assert not leftovers(project.path)


def leftovers(path):
    """Processes whose environment names a run of this directory."""
    ids = {entry.name for entry in (path / "reports").iterdir() if not entry.is_symlink()}
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                environment = (entry / "environ").read_bytes()
            except OSError:
                continue
            if any(f"PYTEST_ENTERPRISE_RUN={id}".encode() in environment for id in ids):
                found.append(entry.name)
    return found


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
@pytest.mark.parametrize("seen", ["engine.starting", "load.started"])
def test_nothing_is_left_when_pytest_is_ended_from_outside(project, number, seen):
    project.makepyfile(
        test_shop="""
        import sys, time
        from pytest_enterprise import Etcd, Link, Service, Stack
        import pytest

        @pytest.fixture(scope="session")
        def enterprise_stack_spec():
            server = Service(name="files", command=("{python}", "-m", "http.server", "{port}", "--bind", "{bind}"))
            return Stack([server, Etcd(name="etcd")], [Link("load", "files")])

        def test_long(stack, load):
            with load("locustfile.py", users=2) as traffic:
                time.sleep(20)
        """
    )
    program = (sys.executable, "-m", "pytest", "-q", "--enterprise-runtime=process", "-p", "no:cacheprovider")
    began = subprocess.Popen(
        program, cwd=project.path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env={**os.environ}
    )
    ends = time.monotonic() + 20
    while not any(seen in path.read_text() for path in project.path.glob("reports/*/events/*.jsonl")):
        assert time.monotonic() < ends
        time.sleep(0.005)
    assert leftovers(project.path)
    began.send_signal(number)
    began.wait(20)
    ends = time.monotonic() + 8
    while leftovers(project.path) and time.monotonic() < ends:
        time.sleep(0.05)
    assert not leftovers(project.path)
