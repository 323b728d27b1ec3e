"""The command line: what each command prints and leaves."""

import json
import signal
import subprocess
import sys
import time

import pytest

from pytest_enterprise import cli

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
