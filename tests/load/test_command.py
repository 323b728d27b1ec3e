from __future__ import annotations

import argparse
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request

import pytest

from pytest_enterprise.errors import ConfigurationError
from pytest_enterprise.load import command
from pytest_enterprise.ports import Ports


def parse(*arguments):
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    return parser.parse_args([str(argument) for argument in arguments])


def test_a_load_from_the_command_line_ends_in_a_table(serve, locustfile, tmp_path, capsys):
    """It runs for its seconds, prints exact figures and leaves a whole run directory."""
    server = serve()
    given = parse(
        *(locustfile(), "--host", server.url, "--users", 3, "--rate", 30, "--seconds", 1),
        *("--reports", tmp_path / "r"),
    )
    assert command.main(given) == 0
    out = capsys.readouterr().out
    row = re.search(r"^GET / +([\d,]+) +0 +[\d.]+ +[\d.]+", out, re.MULTILINE)
    assert row, out
    assert int(row.group(1)) == server.total > 20
    assert re.search(r"^all ", out, re.MULTILINE)
    assert "closed loop" in out
    document = json.loads((tmp_path / "r" / "latest" / "run.json").read_text())
    assert document["exit_status"] == 0


def test_failures_are_listed_and_are_no_failure_of_the_command(serve, locustfile, tmp_path, capsys):
    """Exit status 0: the load could run; what its requests met is in the table."""
    given = parse(locustfile(), "--host", serve("500").url, "--seconds", 0.5, "--reports", tmp_path / "r")
    assert command.main(given) == 0
    assert re.search(r"\d x GET /: HTTP 500", capsys.readouterr().out)


def test_mistakes_are_told(locustfile, tmp_path):
    """Options that cannot be are ConfigurationErrors, which the command line shows in a line."""
    common = ("--host", "http://127.0.0.1:1", "--reports", tmp_path / "r")
    with pytest.raises(ConfigurationError, match=r"--option 'x' is not of the form NAME=VALUE"):
        command.main(parse(locustfile(), *common, "--option", "x"))
    with pytest.raises(ConfigurationError, match="no option 'colour'"):
        command.main(parse(locustfile(), *common, "--option", "colour=blue", "--option", "n=1"))
    with pytest.raises(ConfigurationError, match="users=0"):
        command.main(parse(locustfile(), *common, "--users", 0))
    with pytest.raises(ConfigurationError, match="does not exist"):
        command.main(parse(tmp_path / "no.py", *common, "--web"))


OBJECTIVES = """
[tool.pytest-enterprise.objectives]
nightly.served = {kind = "Availability", at_least = 0.9, phase = "whole"}
strict.served = {kind = "Latency", percentile = 50, at_most = 1e-6, phase = "whole"}
"""


def test_a_load_can_be_judged_from_the_command_line(serve, locustfile, tmp_path, monkeypatch):
    """Status 0 where the objectives held, 1 with the reason where one did not; annotations and summary for GitHub."""
    (tmp_path / "pyproject.toml").write_text(OBJECTIVES)
    summary = tmp_path / "summary.md"

    def run(*names, **environ):
        arguments = ["load", locustfile(), "--host", serve().url, "--users", 3, "--rate", 50, "--seconds", 1]
        arguments += [f"--objectives={name}" for name in names]
        return subprocess.run(
            (sys.executable, "-m", "pytest_enterprise.cli", *map(str, arguments)),
            cwd=tmp_path,
            env={**os.environ, **environ},
            capture_output=True,
            text=True,
            timeout=60,
        )

    held = run("nightly")
    assert held.returncode == 0, held.stdout + held.stderr
    assert re.search(
        r"^served: held: 100 % \(.* to 100 %\), limit at least 90 %, \d+ samples$", held.stdout, re.MULTILINE
    )
    broken = run("strict", GITHUB_ACTIONS="true", GITHUB_STEP_SUMMARY=str(summary))
    assert broken.returncode == 1
    assert re.search(r"^served: broken: .*limit at most 0.001 ms", broken.stdout, re.MULTILINE)
    assert "worst requests:" in broken.stdout
    assert re.search(r"^again: .*load .*--objectives=strict", broken.stdout, re.MULTILINE)
    assert re.search(r"^::error title=.*served%3A broken::", broken.stdout, re.MULTILINE)
    assert "0 of 1 objective held" in summary.read_text()
    unknown = run("nigtly")
    assert unknown.returncode == 2
    assert "Did you mean 'nightly'" in unknown.stderr
    assert not unknown.stdout


def test_ctrl_c_ends_a_load_with_its_table(serve, locustfile, tmp_path):
    """Without --seconds it runs until Ctrl-C, and then still tells the figures."""
    server = serve()
    program = "import argparse; from pytest_enterprise.load import command as c; p = argparse.ArgumentParser(); "
    program += "c.add_arguments(p); raise SystemExit(c.main(p.parse_args()))"
    arguments = (str(locustfile()), "--host", server.url, "--reports", str(tmp_path / "r"))
    terminal, end_of_it = os.openpty()
    process = subprocess.Popen((sys.executable, "-c", program, *arguments), stdout=end_of_it)
    os.close(end_of_it)
    out = ""
    while "s  " not in out:  # the line that is written anew each second
        out += os.read(terminal, 1000).decode()
    process.send_signal(signal.SIGINT)
    try:
        while more := os.read(terminal, 1000):
            out += more.decode()
    except OSError:  # how a terminal tells its end
        pass
    os.close(terminal)
    assert process.wait(20) == 0
    assert re.search(r"\r +1 s +1 users +[\d,]+ requests +0 failed", out)
    assert re.search(r"^all +[\d,]+ +0", out, re.MULTILINE)


def test_the_web_ui_runs_on_loopback(serve, locustfile):
    """--web serves Locust's own pages on 127.0.0.1 with host and users filled in."""
    ports = Ports()
    port = ports.take()
    program = "import argparse; from pytest_enterprise.load import command as c; p = argparse.ArgumentParser(); "
    program += "c.add_arguments(p); raise SystemExit(c.main(p.parse_args()))"
    arguments = (
        str(locustfile()),
        "--host",
        serve().url,
        "--web",
        "--web-port",
        str(port),
        "--users",
        "7",
        "--rate",
        "2",
    )
    process = subprocess.Popen(
        (sys.executable, "-c", program, *arguments),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        page = ""
        end = time.monotonic() + 20
        while not page and time.monotonic() < end:
            try:
                page = urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5).read().decode()
            except OSError:
                time.sleep(0.05)
        assert "Locust" in page
        listening = subprocess.run(("ss", "-ltnH", f"sport = :{port}"), capture_output=True, text=True).stdout
        assert f"127.0.0.1:{port}" in listening
    finally:
        os.killpg(process.pid, signal.SIGINT)
        process.wait(10)
        ports.release()


def test_a_web_port_that_is_taken_is_told_before_locust_starts(locustfile, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        arguments = ("load", str(locustfile()), "--host", "http://127.0.0.1:1", "--web", "--web-port", port)
        done = subprocess.run(
            (sys.executable, "-m", "pytest_enterprise.cli", *arguments),
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=20,
        )
    assert done.returncode == 2
    assert done.stderr == (
        f"pytest-enterprise: --web-port {port}: Address already in use. Give another one, or end what listens there.\n"
    )


def test_arrivals_from_the_command_line_make_an_open_loop(serve, locustfile, tmp_path, capsys):
    """--arrivals sends at intended moments, and the table says that the loop is open and how it was kept."""
    server = serve()
    given = parse(
        *(locustfile(), "--host", server.url, "--arrivals", "step:40/1s", "--seed", 3),
        *("--reports", tmp_path / "r"),
    )
    assert command.main(given) == 0
    out = capsys.readouterr().out
    assert re.search(r"open loop: 40 of 40 arrivals made, the latest [\d.]+ ms after its moment", out), out
    assert "closed loop" not in out
    assert "GENERATOR" not in out
    assert server.total == 40
    server.mode = "hang"
    given = parse(
        *(locustfile(), "--host", server.url, "--arrivals", "30", "--users", 2, "--seconds", 1),
        *("--reports", tmp_path / "r"),
    )
    assert command.main(given) == 0
    assert "GENERATOR BEHIND, do not judge by this load: the limit of 2 journeys" in capsys.readouterr().out
    for option in ("--rate", "--spawn-rate"):
        with pytest.raises(ConfigurationError, match=rf"{option} is for the users of a closed loop"):
            command.main(parse(locustfile(), "--host", server.url, "--arrivals", 5, option, 2))
    with pytest.raises(ConfigurationError, match=r"rate=0\.0 is no rate"):
        command.main(parse(locustfile(), "--host", server.url, "--arrivals", "poisson:0"))
