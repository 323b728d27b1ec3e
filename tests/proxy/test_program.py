"""The program: its ready line, its configuration file, its end."""

from __future__ import annotations

import json
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest


def test_it_says_where_it_listens_and_which_seed_it_has(program):
    started = program("-seed", "5")
    assert started.ready["seed"] == 5
    assert started.control.get("/version").status == 200


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_cleanly_with_connections_open(program, echo, wire, number):
    started = program()
    link = started.control.create(echo.address)
    clients = [wire(link) for _ in range(20)]
    for client in clients:
        client.echo()
    control = wire(started.control.address)
    control.send(b"GET /ver")
    began = time.monotonic()
    started.process.send_signal(number)
    assert started.process.wait(5) == 0
    assert time.monotonic() - began < 0.5
    for client in clients:
        assert client.read_all() == b""
    assert started.stop() == ""


def test_it_raises_its_descriptor_limit(program):
    started = program()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert resource.prlimit(started.process.pid, resource.RLIMIT_NOFILE) == (hard, hard)


def test_it_serves_no_metrics_unless_asked(program):
    assert program().control.get("/metrics").status == 404


def test_a_configuration_in_toxiproxys_form(program, echo, wire, tmp_path):
    path = tmp_path / "toxiproxy.json"
    path.write_text(
        json.dumps(
            [
                {"name": "link", "listen": "127.0.0.1:0", "upstream": echo.address, "enabled": True, "other": 1},
                {"name": "off", "listen": "127.0.0.1:0", "upstream": echo.address, "enabled": False},
            ]
        )
    )
    control = program("-config", str(path)).control
    shown = control.get("/proxies").json()
    assert {name: link["enabled"] for name, link in shown.items()} == {"link": True, "off": False}
    host, port = shown["link"]["listen"].rsplit(":", 1)
    wire((host, int(port))).echo()


def test_a_configuration_with_toxics_and_tunnels(program, echo, tmp_path):
    path = tmp_path / "proxy.json"
    toxics = [{"type": "latency", "attributes": {"latency": 1}}]
    path.write_text(
        json.dumps(
            {
                "proxies": [{"name": "link", "listen": "127.0.0.1:0", "upstream": echo.address, "toxics": toxics}],
                "tunnels": [{"name": "t", "listen": "127.0.0.1:0", "routes": {"a:1": "link"}}],
            }
        )
    )
    control = program("--config", str(path)).control
    assert control.get("/proxies/link/toxics/latency_downstream").status == 200
    assert control.get("/enterprise/tunnels").json()["t"]["routes"] == {"a:1": "link"}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", "Expecting"),
        ('[{"name": "a"}]', "missing required field: upstream"),
        ('{"proxies": [{"name": "a", "upstream": "x:1", "toxics": [{"type": "no"}]}]}', "unknown toxic type"),
        ('{"tunnels": [{}]}', "missing required field: name"),
        ("7", "cannot unmarshal"),
        (None, "No such file"),
    ],
)
def test_a_bad_configuration_ends_it_with_the_reason(program, tmp_path, text, reason):
    path = tmp_path / "bad.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(RuntimeError, match=f"-config {path}: .*{reason}"):
        program("-config", str(path))


def test_a_taken_control_port_ends_it_with_the_reason(program, control):
    with pytest.raises(RuntimeError, match=r"cannot listen on 127\.0\.0\.1:"):
        program("-port", str(control.address[1]))


def test_it_runs_without_uvloop(echo, wire, control_at, tmp_path):
    """A machine without uvloop gets asyncio's own loop."""
    script = tmp_path / "without.py"
    script.write_text(
        "import sys\nsys.modules['uvloop'] = None\n"
        "from pytest_enterprise.proxy.program import main\nsys.exit(main(['-host', '127.0.0.1', '-port', '0']))\n"
    )
    with subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True) as process:
        try:
            address = json.loads(process.stdout.readline())["listening"]
            control = control_at(f"http://{address}")
            link = control.create(echo.address)
            client = wire(link)
            client.echo()
            control.toxic("latency", latency=200)
            assert client.echo() >= 0.2
        finally:
            process.terminate()
        assert process.wait(5) == 0


def test_importing_the_package_pulls_in_no_proxy():
    """pytest runs that do not use the proxy pay nothing for it."""
    code = (
        "import sys, pytest_enterprise; print([m for m in sys.modules if 'proxy' in m or m in ('httptools', 'uvloop')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=True)
    assert done.stdout.strip() == "[]"


def test_one_file_per_toxic():
    """Every toxic that can be named has a file of its own name."""
    from pytest_enterprise.proxy import toxics

    files = {path.stem for path in Path(toxics.__file__).parent.glob("*.py")} - {"__init__", "base"}
    assert files == set(toxics.KINDS)
