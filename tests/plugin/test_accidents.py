"""What the machine may do to a session: a full disk, a taken port, a daemon that hangs, another session beside it."""

import os
import socket
import socketserver
import subprocess
import sys
import time

import pytest

from .test_sessions import SWIFT, leftovers

PROGRAM = (sys.executable, "-m", "pytest", "--enterprise-runtime=process", "-p", "no:cacheprovider")
OWN_SERVERS = """
import pytest
from pytest_enterprise import Etcd, Link, Service, Stack

@pytest.fixture(scope="session")
def enterprise_stack_spec():
    server = Service(name="files", command=("{python}", "-m", "http.server", "{port}", "--bind", "{bind}"))
    return Stack([server, Etcd(name="etcd")], [Link("load", "files")])
"""


def run_on_a_small_disk(project, kilobytes, *, full=False):
    """Pytest with its run directory on a disk of that size, in a mount namespace of its own."""
    (project.path / "reports").mkdir()
    namespace = ("unshare", "-m") if os.geteuid() == 0 else ("unshare", "-Urm")
    fill = "head -c 9M /dev/zero >reports/filler 2>/dev/null;" if full else ""
    script = f'mount -t tmpfs -o size={kilobytes}k none reports && {fill} "$@"; status=$?; ls -R reports; exit $status'
    return subprocess.run(
        (*namespace, "sh", "-c", script, "sh", *PROGRAM),
        cwd=project.path,
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_a_disk_that_is_full_is_told_before_anything_starts(project):
    project.makepyfile(test_shop=SWIFT)
    done = run_on_a_small_disk(project, 64, full=True)
    assert done.returncode == pytest.ExitCode.USAGE_ERROR, done.stdout
    assert "No space left on device" in done.stderr
    assert "--enterprise-reports" in done.stderr
    assert "Traceback" not in done.stdout + done.stderr


FILL = 'subprocess.run("head -c 9M /dev/zero >reports/filler", shell=True)'


@pytest.mark.parametrize(
    ("body", "outcome"),
    [
        (f"with load('locustfile.py', users=5) as traffic:\n        {FILL}\n        traffic.run_for(5)", "1 failed"),
        (f"{FILL}\n    for _ in range(20): stack.run.events.emit('note', text='x' * 500)", "1 failed, 1 passed"),
        (FILL, "3 passed"),  # the events' last block has room for theirs: only the report finds none
    ],
)
def test_a_disk_that_fills_up_ends_the_session_and_keeps_what_is_there(project, body, outcome):
    project.makepyfile(
        test_shop=f"""
import subprocess

def test_first(stack):
    pass

def test_second(stack, load):
    {body}

def test_third(stack):
    pass
"""
    )
    done = run_on_a_small_disk(project, 256)
    assert done.returncode == pytest.ExitCode.TESTS_FAILED, done.stdout
    assert "No space left on device" in done.stdout
    assert outcome in done.stdout, done.stdout
    assert "Traceback" not in done.stdout, done.stdout
    assert "INTERNALERROR" not in done.stdout
    assert "run.json" in done.stdout.partition("reports:")[2]  # as listed after the session


def test_a_server_whose_port_is_taken_says_so(project, run):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        number = taken.getsockname()[1]
        project.makeconftest(OWN_SERVERS.replace("{port}", str(number)))
        project.makepyfile("def test_it(stack): pass")
        result = run()
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(
        ["*EngineFailed: files ended before it was ready*", f"*http.server {number}*", "*Address already in use*"]
    )


@pytest.fixture
def hanging_daemon(tmp_path, monkeypatch):
    """A Docker daemon that takes every connection and never says a word."""

    class Silent(socketserver.BaseRequestHandler):
        def handle(self):
            while self.request.recv(4096):
                pass

    with socketserver.ThreadingUnixStreamServer(str(tmp_path / "s"), Silent) as server:
        import threading

        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path / 's'}")
        yield
        server.shutdown()


def test_a_docker_daemon_that_hangs_is_told(project, run, hanging_daemon):
    project.makepyfile("def test_first(stack): pass\ndef test_second(stack): pass")
    project.makeconftest(OWN_SERVERS)
    began = time.monotonic()
    result = run("--enterprise-runtime=container")
    assert time.monotonic() - began < 20
    result.assert_outcomes(errors=2)
    told = "*ConfigurationError: runtime 'container': no Docker daemon answers at unix://*"
    result.stdout.fnmatch_lines([told, told])
    result.stdout.no_fnmatch_line("*Traceback*")


def test_auto_takes_processes_where_the_docker_daemon_hangs(project, run, hanging_daemon):
    project.makepyfile("def test_it(stack): assert stack.url('files')")
    project.makeconftest(OWN_SERVERS)
    began = time.monotonic()
    run("--enterprise-runtime=auto").assert_outcomes(passed=1)
    assert time.monotonic() - began < 10


def test_two_sessions_at_once_do_not_meet(project):
    project.makeconftest(OWN_SERVERS)
    project.makepyfile(
        test_shop="""
        import time
        import urllib.request

        def test_it(stack, load):
            for _ in range(3):
                with load("locustfile.py", users=5) as traffic:
                    traffic.run_for(0.3)
                assert not traffic.failures
        """
    )
    both = [
        subprocess.Popen(
            (*PROGRAM, "-q"), cwd=project.path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        for _ in range(2)
    ]
    told = [one.communicate(timeout=60)[0] for one in both]
    assert [one.returncode for one in both] == [0, 0], told
    runs = [path for path in (project.path / "reports").iterdir() if not path.is_symlink()]
    assert len(runs) == 2
    assert all((path / "index.html").exists() for path in runs)
    assert (project.path / "reports" / "latest").resolve() in runs
    assert not leftovers(project.path)
