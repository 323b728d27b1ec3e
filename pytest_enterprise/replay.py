"""``pytest-enterprise replay``: the tests of an earlier run again, and how often the outcome recurred."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from pytest_enterprise.errors import EnterpriseError, nearest
from pytest_enterprise.report.model import load_run
from pytest_enterprise.report.parts import RunReport, Scenario
from pytest_enterprise.report.words import again, by_hand
from pytest_enterprise.settings import OPTIONS

_SETTINGS = ("runtime", "direct", "sabotage", "claims", "stack", "images", "url", "frameworks", "start_timeout")


def replay(directory: Path, tests: Sequence[str], *, times: int) -> int:
    """Run ``tests`` (none: every test that had a fault) ``times`` times; 0 when every outcome recurred every time.

    Same tests, seed, runtime and settings mean the same faults on the same targets and the same choices of users; what
    differs between two replays is what the machine and the servers did.
    """
    if times < 1:
        raise EnterpriseError(f"--times {times}: replay at least once")
    report = load_run(directory)
    before = _chosen(report, tests)
    root = _root(directory)
    seen: dict[str, list[str]] = {test: [] for test in before}
    for number in range(1, times + 1):
        again = _run(report, root, list(before))
        for test in before:
            seen[test].append(again.get(test, "it was not run"))
        print(f"replay {number} of {times}: {_counted(again)}", flush=True)  # noqa: T201
    print()  # noqa: T201
    recurred = True
    for test, outcome in before.items():
        same = seen[test].count(outcome)
        recurred = recurred and same == times
        print(f"{test}\n  {outcome}: recurred in {same} of {times}")  # noqa: T201
        for other in dict.fromkeys(seen[test]):
            if other != outcome:
                print(f"  {other}: in {seen[test].count(other)} of {times}")  # noqa: T201
    return 0 if recurred else 1


def _chosen(report: RunReport, tests: Sequence[str]) -> dict[str, str]:
    """The tests to run with their outcomes in the earlier run, the last one of each."""
    if by_hand(report):
        raise EnterpriseError(
            f"{report.directory} holds no test to replay: its faults were begun by hand. Begin them again with "
            f"{again(report)}"
        )
    known = {test.test: outcome(test) for test in report.tests}
    for test in tests:
        if test not in known:
            raise EnterpriseError(f"{report.directory} holds no test {test!r}. {nearest(test, known)}")
    chosen = tests or [test.test for test in report.tests if test.faults]
    if not chosen:
        raise EnterpriseError(f"{report.directory} holds no test with a fault; name the tests to replay")
    return {test: known[test] for test in chosen}


def outcome(test: Scenario) -> str:
    """What a test came to, in words that are the same when it is the same: the verdict and what broke."""
    broken = sorted({judged.objective for judged in test.judgements if judged.outcome != "held"})
    return f"{test.verdict} ({', '.join(broken)})" if broken else test.verdict


def _root(directory: Path) -> Path:
    """Where pytest ran: a run's tests are named from there."""
    try:
        started = json.loads((directory / "run.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return Path.cwd()
    return Path(started.get("rootdir") or Path.cwd())


def _run(report: RunReport, root: Path, tests: list[str]) -> dict[str, str]:
    """Run the tests once; their outcomes."""
    reports = report.directory.resolve().parent
    before = set(reports.iterdir())
    arguments = [f"--enterprise-seed={report.seed}", f"--enterprise-reports={reports}", "-p", "no:cacheprovider", "-q"]
    for option in OPTIONS:
        value = report.settings.get(option.name)
        if option.name not in _SETTINGS or value in (None, False, {}, []):
            continue
        pairs = [f"{name}={text}" for name, text in value.items()] if isinstance(value, dict) else value
        pairs = pairs if isinstance(pairs, list) else [value]
        arguments += [option.flag if pair is True else f"{option.flag}={pair}" for pair in pairs]
    done = subprocess.run(
        (sys.executable, "-m", "pytest", *tests, *arguments), cwd=root, capture_output=True, text=True, check=False
    )
    made = [path for path in set(reports.iterdir()) - before if path.is_dir() and not path.is_symlink()]
    if len(made) != 1:
        tail = "\n".join(f"  {line}" for line in (done.stdout + done.stderr).splitlines()[-15:])
        raise EnterpriseError(f"pytest made no run (exit status {done.returncode}):\n{tail}")
    return {test.test: outcome(test) for test in load_run(made[0]).tests}


def _counted(outcomes: dict[str, str]) -> str:
    words = list(outcomes.values())
    return ", ".join(f"{words.count(word)} {word}" for word in dict.fromkeys(words)) or "nothing was run"
