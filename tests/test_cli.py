"""The command line: what each command prints and leaves."""

import json
import signal
import subprocess
import sys
import time

import pytest

from pytest_enterprise import cli
from pytest_enterprise.ports import Ports

PROGRAM = (sys.executable, "-m", "pytest_enterprise.cli")


def test_the_doctor_names_what_is_here_and_how_to_get_the_rest(capsys, monkeypatch):
    assert cli.main(["doctor"]) in (0, 1)
    told = capsys.readouterr().out
    for what in (
        "etcd",
        "envoy",
        "postgres",
        "prometheus",
        "alertmanager",
        "extra load",
        "fault memory",
        "Docker daemon",
    ):
        assert what in told
    monkeypatch.setenv("PATH", "")
    monkeypatch.chdir("/")
    assert cli.main(["doctor"]) == 1
    told = capsys.readouterr().out
    assert "MISSING  etcd" in told
    assert "python -m pytest_enterprise.engines.obtain" in told


@pytest.mark.parametrize("arguments", [["up"], ["up", "nowhere.toml"], ["report", "nowhere"]])
def test_mistakes_are_told_in_a_line(arguments, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert cli.main(arguments) == 2
    error = capsys.readouterr().err
    assert error.startswith("pytest-enterprise: ")
    assert "Traceback" not in error


def test_what_init_writes_passes_as_written(tmp_path):
    subprocess.run((*PROGRAM, "init"), cwd=tmp_path, check=True, capture_output=True)
    again = subprocess.run((*PROGRAM, "init"), cwd=tmp_path, capture_output=True, text=True)
    assert again.returncode == 2
    done = subprocess.run(
        (sys.executable, "-m", "pytest", "--enterprise-runtime=process"),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=90,
    )
    assert done.returncode == 0, done.stdout[-3000:]
    assert "1 held" in done.stdout or "held" in done.stdout


def test_up_holds_a_stack_until_it_is_interrupted(tmp_path):
    (tmp_path / "stack.toml").write_text(
        'links = ["load -> files"]\n[engines.files]\nkind = "Service"\n'
        'command = ["{python}", "-m", "http.server", "{port}", "--bind", "{bind}"]\n'
    )
    arguments = (*PROGRAM, "up", "stack.toml", "--enterprise-runtime=process")
    held = subprocess.Popen(arguments, cwd=tmp_path, stdout=subprocess.PIPE, text=True)
    lines = []
    for line in held.stdout:
        lines.append(line)
        if "Ctrl-C" in line:
            break
    [address] = [line.split()[1] for line in lines if "the fault proxy" in line]
    [control] = [line.split()[1] for line in lines if line.startswith("control")]
    assert json.loads((tmp_path / "reports" / "up.json").read_text())["control"] == control
    import urllib.request

    with urllib.request.urlopen(address, timeout=5) as answer:
        assert answer.status == 200
    began = time.monotonic()
    held.send_signal(signal.SIGINT)
    assert held.wait(10) == 0
    assert time.monotonic() - began < 5
    assert not (tmp_path / "reports" / "up.json").exists()
    held.stdout.close()
    with pytest.raises(OSError):
        urllib.request.urlopen(address, timeout=1)
    report = subprocess.run((*PROGRAM, "report", "reports/latest"), cwd=tmp_path, capture_output=True, text=True)
    assert report.returncode == 0, report.stderr
    assert subprocess.run((*PROGRAM, "down"), cwd=tmp_path, capture_output=True).returncode == 0


def judged(directory, outcome):
    """The least run directory that a report can be made of: one scenario."""
    directory.mkdir()
    test = {"t": 1, "at": "2026-11-24T02:20:17+00:00", "pid": 1, "test": "t.py::test_a"}
    events = [
        {**test, "kind": "test.started", "scenario": True, "claim": "c"},
        {**test, "kind": "objective.judged", "objective": "o", "outcome": outcome, "value": 1, "limit": 1},
        {**test, "kind": "test.finished", "outcome": "passed" if outcome == "held" else "failed"},
        {"t": 2, "at": test["at"], "pid": 1, "kind": "run.finished", "exit_status": 0},
    ]
    (directory / "events.jsonl").write_text("".join(json.dumps(event) + "\n" for event in events))
    claims = [{"id": "c", "text": "It holds.", "scenarios": ["t.py::test_a"]}]
    document = {"format": 1, "run": directory.name, "claims": claims, "finished": "2026-11-24T02:21:17Z"}
    (directory / "run.json").write_text(json.dumps(document))
    return str(directory)


@pytest.mark.parametrize(("outcome", "status"), [("held", 0), ("broken", 1), ("not judged", 1)])
def test_a_report_can_be_the_threshold_of_a_job(tmp_path, outcome, status, monkeypatch, capsys):
    """report --check ends with status 1 unless everything held, and annotates; without it, making it is success."""
    directory = judged(tmp_path / "run", outcome)
    assert cli.main(["report", directory]) == 0
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary.md"))
    capsys.readouterr()
    assert cli.main(["report", directory, "--check"]) == status
    assert (" file=t.py" in capsys.readouterr().out) == bool(status)
    assert "| o |" in (tmp_path / "summary.md").read_text()


def test_up_ends_with_a_web_ui_that_cannot_start(tmp_path):
    """A locustfile that raises is told by Locust; the stack is not left without its web UI."""
    (tmp_path / "stack.toml").write_text(
        'links = ["load -> files"]\n[engines.files]\nkind = "Service"\n'
        'command = ["{python}", "-m", "http.server", "{port}", "--bind", "{bind}"]\n'
    )
    (tmp_path / "users.py").write_text("raise RuntimeError('not today')\n")
    ports = Ports()
    arguments = ("up", "stack.toml", "--enterprise-runtime=process", "--web=users.py", f"--web-port={ports.take()}")
    done = subprocess.run((*PROGRAM, *arguments), cwd=tmp_path, capture_output=True, text=True, timeout=60)
    ports.release()
    assert done.returncode == 2
    assert "RuntimeError: not today" in done.stderr
    assert "Locust ended with exit status 1" in done.stdout
    assert not (tmp_path / "reports" / "up.json").exists()


def test_a_reader_that_has_seen_enough_ends_it_quietly(tmp_path):
    """As in ``pytest-enterprise coverage | head``."""
    program = "import sys; from pytest_enterprise import cli; sys.exit(cli.main(['down']))"
    with subprocess.Popen(
        (sys.executable, "-c", program), cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as done:
        done.stdout.close()
        told = done.stderr.read().decode()
    assert told == ""
    assert done.returncode == 141
