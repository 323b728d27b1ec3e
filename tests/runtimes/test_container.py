"""Containers for real: skipped where no Docker daemon answers or the image is not built, failed there in CI."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import pytest

from pytest_enterprise import __version__
from pytest_enterprise.engines.base import Engine, Launch, Site
from pytest_enterprise.errors import ConfigurationError, EngineFailed, EngineMissing
from pytest_enterprise.run import LABEL, Run
from pytest_enterprise.runtimes import container, container_leftovers, container_reaper, docker_socket
from pytest_enterprise.runtimes.base import Placement
from pytest_enterprise.runtimes.container import ContainerRuntime
from pytest_enterprise.runtimes.container_instance import ContainerInstance, cgroup_cpu_seconds
from pytest_enterprise.settings import Settings

IMAGE = f"{container.PREFIX}/python:{__version__}"
SERVE = """
import http.server, pathlib
class Handler(http.server.SimpleHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers(); self.wfile.write(b'hello')
print('serving', flush=True)
http.server.ThreadingHTTPServer(('0.0.0.0', 8000), Handler).serve_forever()
"""


@dataclass(frozen=True, kw_only=True)
class Program(Engine):
    """Any program of the Python image."""

    kind: ClassVar[str] = "python"
    command: Sequence[str] = ("python3", "-c", SERVE)
    setup: Sequence[Sequence[str]] = ()
    unprivileged: bool = False
    stop_timeout: float = 5.0

    @property
    def ports(self) -> Mapping[str, int]:
        return {"http": 8000, "inner": 8001}

    @property
    def published(self) -> frozenset[str]:
        return frozenset({"http"})

    def launch(self, site: Site) -> Launch:
        return Launch(
            command=self.command,
            setup=self.setup,
            unprivileged=self.unprivileged,
            stop_timeout=self.stop_timeout,
            env={"GREETING": "hi"},
        )

    async def ready(self, site: Site) -> str | None:
        return None


class Bench:
    """A runtime, and the instances a test starts under it."""

    def __init__(self, runtime: ContainerRuntime) -> None:
        self.runtime = runtime
        self.placed: dict[str, Placement] = {}

    def site(self, engine: Engine, name: str) -> Site:
        p = self.placed[name] = self.runtime.place(engine, name)
        fields = ("bind", "listen", "host", "config", "data", "config_inside", "data_inside")
        return Site(
            name=name,
            index=1,
            siblings=(name,),
            runtime="container",
            network={name: p.network},
            links={},
            instances={},
            tunnel=None,
            **{field: getattr(p, field) for field in fields},
        )

    def start(self, name: str, **fields: object) -> ContainerInstance:
        engine = Program(name=name, **fields)  # type: ignore[arg-type]
        site = self.site(engine, name)
        started = asyncio.run(self.runtime.start(engine, site, engine.launch(site)))
        assert isinstance(started, ContainerInstance)
        return started

    def get(self, name: str, timeout: float = 2.0) -> bytes:
        with urllib.request.urlopen(f"http://{self.placed[name].host['http']}/", timeout=timeout) as answer:
            body: bytes = answer.read()
            return body

    def wait_for(self, name: str) -> None:
        until(lambda: self.get(name) == b"hello")


def until(condition: object, limit: float = 15.0) -> None:
    deadline = time.monotonic() + limit
    while True:
        try:
            if condition():  # type: ignore[operator]
                return
        except OSError:
            pass
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.02)


def docker(*arguments: str) -> str:
    """The Docker API, asked with the client library rather than with the code under test."""
    import docker as library

    client = library.from_env()
    try:
        kind, *rest = arguments
        items = getattr(client, kind).list(filters={"label": rest}, **({"all": True} if kind == "containers" else {}))
        return " ".join(item.name for item in items)
    finally:
        client.close()


@pytest.fixture(scope="module")
def daemon() -> None:
    missing = ""
    if not container.docker_answers():
        missing = f"no Docker daemon answers at {docker_socket.address()}"
    elif not container.image_available(IMAGE):
        missing = f"the image {IMAGE} is not built; run `pytest-enterprise images`"
    if missing and os.environ.get("CI", "").lower() == "true":
        pytest.fail(f"{missing}, and in CI that is no reason to skip")
    if missing:
        pytest.skip(missing)


def new_run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return Run(Settings(reports=str(tmp_path_factory.mktemp("reports"))))


@pytest.fixture(scope="module")
def bench(daemon: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    run = new_run(tmp_path_factory)
    runtime = ContainerRuntime(run)
    asyncio.run(runtime.open())
    bench = Bench(runtime)
    bench.start("web", setup=(("sh", "-c", "echo set-up $GREETING >> /var/lib/enterprise/set-up"),))
    bench.start("client", command=("sleep", "1000"))
    bench.wait_for("web")
    yield bench
    asyncio.run(runtime.close())
    left = docker("containers", f"{LABEL}={run.id}") + docker("networks", f"{LABEL}={run.id}")
    run.events.close()
    run.ports.release()
    assert left == ""


def instance(bench: Bench, name: str) -> ContainerInstance:
    return next(i for i in bench.runtime._instances if i.name == name)


def test_addresses(bench: Bench) -> None:
    """Other instances reach every port at a fixed address; this machine only the published ones, on 127.0.0.1."""
    web, client = bench.placed["web"], bench.placed["client"]
    assert list(web.host) == ["http"]
    assert web.host["http"].host == "127.0.0.1"
    assert web.network["http"].host == web.network["inner"].host != client.network["http"].host
    assert web.network["inner"].port == 8001
    asyncio.run(instance(bench, "web").alive())
    attributes = instance(bench, "web")._container.attrs
    bound = [b for bindings in attributes["NetworkSettings"]["Ports"].values() for b in bindings or ()]
    assert bound == [{"HostIp": "127.0.0.1", "HostPort": str(web.host["http"].port)}]


@pytest.mark.parametrize("by", ["address", "name"])
def test_instances_reach_each_other(bench: Bench, by: str) -> None:
    """An instance is found on the run's network by its address and by its name."""
    host = bench.placed["web"].network["http"].host if by == "address" else "web"
    script = f"import urllib.request as u; print(u.urlopen('http://{host}:8000/', timeout=3).read().decode())"
    done = instance(bench, "client")._docker.exec(["python3", "-c", script])
    assert done.output == b"hello\n"


def test_labels(bench: Bench) -> None:
    """Containers and the network carry the run and the identity of its process."""
    run = bench.runtime.run
    assert docker("containers", f"{LABEL}={run.id}").count(run.id.lower()) == len(bench.runtime._instances)
    assert docker("networks", f"{LABEL}={run.id}") == bench.runtime._network_name
    labels = instance(bench, "web")._container.labels
    assert labels[container_leftovers.OWNER] == container_leftovers.owner()
    assert not [item for item in container.find_leftovers() if item.run == run.id]


def test_pause_and_resume(bench: Bench) -> None:
    """A paused instance is alive, accepts nothing more than the kernel does, and goes on where it was."""
    web = instance(bench, "web")
    asyncio.run(web.pause())
    try:
        assert asyncio.run(web.paused())
        assert asyncio.run(web.alive())
        asyncio.run(web.pause())
        with pytest.raises(OSError, match="timed out"):
            bench.get("web", timeout=0.3)
    finally:
        asyncio.run(web.resume())
    assert not asyncio.run(web.paused())
    asyncio.run(web.resume())
    bench.wait_for("web")


def test_kill_and_restart(bench: Bench) -> None:
    """A killed instance is gone for this machine and for the others at once, and comes back as it was."""
    web = instance(bench, "web")
    asyncio.run(web.kill())
    assert not asyncio.run(web.alive())
    assert web.exit_status() == "signal 9 (SIGKILL)"
    with pytest.raises(OSError):
        bench.get("web")
    host = bench.placed["web"].network["http"].host
    script = f"import socket, time\nt = time.time()\ntry: socket.create_connection(('{host}', 8000), 20)\n"
    script += "except OSError as e: print(type(e).__name__, time.time() - t < 8)"
    assert instance(bench, "client")._docker.exec(["python3", "-c", script]).output == b"OSError True\n"
    asyncio.run(web.kill())
    asyncio.run(web.stop())

    asyncio.run(web.restart())
    assert web.exit_status() is None
    bench.wait_for("web")
    assert (bench.placed["web"].data / "set-up").read_text() == "set-up hi\n"


def test_kill_while_paused(bench: Bench) -> None:
    """SIGKILL ends a paused instance too."""
    paused = bench.start("paused", command=("sleep", "1000"))
    asyncio.run(paused.pause())
    asyncio.run(paused.kill("SIGKILL"))
    assert not asyncio.run(paused.alive())


def test_restart_of_a_running_instance(bench: Bench) -> None:
    """Restarting one that runs stops it first; CPU time adds up over its lives."""
    busy = bench.start("busy", command=("sh", "-c", "i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done; exec sleep 99"))
    until(lambda: asyncio.run(busy.cpu_seconds()) > 0.05)
    before = asyncio.run(busy.cpu_seconds())
    asyncio.run(busy.restart())
    assert asyncio.run(busy.alive())
    until(lambda: asyncio.run(busy.cpu_seconds()) > before)
    asyncio.run(busy.stop())
    assert asyncio.run(busy.cpu_seconds()) >= before


def test_stop_becomes_kill(bench: Bench) -> None:
    """What does not follow its stop signal in time is killed."""
    deaf = bench.start("deaf", command=("sh", "-c", "trap '' TERM; echo deaf; while :; do sleep 0.05; done"))
    until(lambda: deaf.log() == ["deaf"])
    began = time.monotonic()
    asyncio.run(deaf.stop(timeout=0.4))
    assert time.monotonic() - began >= 0.4
    assert deaf.exit_status() == "signal 9 (SIGKILL)"


def test_failing_program(bench: Bench) -> None:
    """A program that ends by itself leaves its exit code and its last lines; so does a failing setup."""
    failing = bench.start("failing", command=("sh", "-c", "echo one; echo two >&2; exit 3"))
    until(lambda: failing.exit_status() is not None)
    assert failing.exit_status() == "exit code 3"
    assert set(failing.log()) == {"one", "two"}
    assert len(failing.log(1)) == 1
    assert "exit 3" in failing.command_line

    unset = bench.start("unset", setup=(("sh", "-c", "echo no room; exit 7"),))
    until(lambda: unset.exit_status() is not None)
    assert unset.exit_status() == "exit code 7"
    assert unset.log() == ["no room"]


@pytest.mark.skipif(os.getuid() != 0, reason="only root changes its user")
def test_unprivileged(bench: Bench) -> None:
    """What must not be root runs as nobody, owns its data directory, and leaves nothing that cannot be removed."""
    command = ("sh", "-c", "id -u; mkdir -m 700 /var/lib/enterprise/own && echo kept > /var/lib/enterprise/own/file")
    nobody = bench.start("nobody", command=command, unprivileged=True)
    until(lambda: nobody.exit_status() is not None)
    assert nobody.log() == ["65534"]
    data = bench.placed["nobody"].data
    assert (data / "own" / "file").read_text() == "kept\n"
    shutil.rmtree(data)


def test_user_of_the_run(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """An ordinary user's containers run as that user, who has a name inside."""
    monkeypatch.setattr(os, "getuid", lambda: 1234)
    monkeypatch.setattr(os, "getgid", lambda: 1234)
    mine = bench.start("mine", command=("id",))
    monkeypatch.undo()
    until(lambda: mine.exit_status() is not None)
    assert mine.log() == ["uid=1234(enterprise) gid=1234 groups=1234"]


def test_program_missing(bench: Bench) -> None:
    """A program that the image lacks is told by its exit status and its log."""
    absent = bench.start("absent", command=("no-such-program",))
    until(lambda: absent.exit_status() is not None)
    assert absent.exit_status() == "exit code 127 (no such program in its image)"
    assert "no-such-program" in absent.log()[-1]


def test_image_missing(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """An engine without any image says which was looked for and how to build it."""
    monkeypatch.setattr(Program, "kind", "nowhere")
    with pytest.raises(EngineMissing, match=r"pytest-enterprise/nowhere:.*`pytest-enterprise images nowhere`"):
        bench.start("lost")
    with pytest.raises(EngineMissing, match=r"127.0.0.1:1/none:1 is not here and could not be pulled.*images"):
        bench.start("lost", image="127.0.0.1:1/none:1")


def test_port_taken(bench: Bench) -> None:
    """A published port that another program took meanwhile is an error that says so."""
    engine = Program(name="late")
    site = bench.site(engine, "late")
    import socket

    with socket.create_server(site.host["http"]):
        with pytest.raises(EngineFailed, match=r"late: Docker could not start.*address already in use.*docker run"):
            asyncio.run(bench.runtime.start(engine, site, engine.launch(site)))


def test_removed_behind_our_back(bench: Bench) -> None:
    """A container that somebody else removed counts as ended, not as an error."""
    victim = bench.start("victim", command=("sleep", "1000"))
    victim._container.remove(force=True)
    assert not asyncio.run(victim.alive())
    assert victim.exit_status() == "removed"
    assert list(victim.log()) == []
    asyncio.run(victim.kill())
    asyncio.run(victim.stop())
    with pytest.raises(EngineFailed, match="victim: Docker could not start its container again"):
        asyncio.run(victim.restart())
    with pytest.raises(EngineFailed, match="victim: its container cannot be paused"):
        asyncio.run(victim.pause())


def test_find_image(bench: Bench) -> None:
    """An engine's own image comes first; without one, what was built here."""
    assert container.find_image(Program(name="x")) == IMAGE
    assert container.find_image(Program(name="x", image="not/here:1")) is None


def test_cancelled_start_leaves_nothing(daemon: None, tmp_path_factory: pytest.TempPathFactory) -> None:
    """A start that is cancelled half way is waited for and removed when the runtime closes; logs stay."""
    run = new_run(tmp_path_factory)

    async def go() -> None:
        runtime = ContainerRuntime(run)
        await runtime.open()
        bench = Bench(runtime)
        engine = Program(name="one")
        site = bench.site(engine, "one")
        task = asyncio.ensure_future(runtime.start(engine, site, engine.launch(site)))
        await asyncio.sleep(0.02)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await runtime.close()
        await runtime.close()

    asyncio.run(go())
    run.events.close()
    run.ports.release()
    assert docker("containers", f"{LABEL}={run.id}") + docker("networks", f"{LABEL}={run.id}") == ""
    assert (run.engines / "one" / "log").is_file()


def test_two_runs_at_once(daemon: None, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Runs that begin together get networks that do not overlap."""
    runs = [new_run(tmp_path_factory) for _ in range(2)]
    runtimes = [ContainerRuntime(run) for run in runs]

    async def go() -> list[str]:
        await asyncio.gather(*(runtime.open() for runtime in runtimes))
        placed = [runtime.place(Program(name="one"), "one").network["http"].host for runtime in runtimes]
        await asyncio.gather(*(runtime.close() for runtime in runtimes))
        return placed

    first, second = asyncio.run(go())
    for run in runs:
        run.events.close()
        run.ports.release()
    assert first != second


def test_network_refused(
    daemon: None, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A network that Docker refuses is an error with its words, and nothing stays behind."""
    run = new_run(tmp_path_factory)
    runtime = ContainerRuntime(run)
    monkeypatch.setattr(runtime, "_network_name", "host")
    with pytest.raises(EngineFailed, match=r"Docker could not make the network host: .*docker network prune"):
        asyncio.run(runtime.open())
    asyncio.run(runtime.close())
    run.events.close()
    assert docker("networks", f"{LABEL}={run.id}") == ""


def test_sigkill_of_the_owner(daemon: None, tmp_path_factory: pytest.TempPathFactory) -> None:
    """When the process of a run gets SIGKILL, its containers and network go away by themselves."""
    reports = tmp_path_factory.mktemp("reports")
    script = textwrap.dedent(f"""
        import asyncio, importlib.util, time
        spec = importlib.util.spec_from_file_location("bench_of_test", {__file__!r})
        import sys; bench_of_test = sys.modules["bench_of_test"] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(bench_of_test)
        run = bench_of_test.Run(bench_of_test.Settings(reports={str(reports)!r}))
        runtime = bench_of_test.ContainerRuntime(run)
        asyncio.run(runtime.open())
        bench_of_test.Bench(runtime).start("web")
        print(run.id, flush=True)
        time.sleep(100)
    """)
    with subprocess.Popen((sys.executable, "-c", script), stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        run_id = process.stdout.readline().strip()
        assert (
            run_id in docker("networks", f"{LABEL}={run_id}").upper().replace("PYTEST-ENTERPRISE", "").lower() or run_id
        )
        assert docker("containers", f"{LABEL}={run_id}")
        process.send_signal(signal.SIGKILL)
    until(lambda: docker("containers", f"{LABEL}={run_id}") + docker("networks", f"{LABEL}={run_id}") == "", limit=20)


def test_leftovers(daemon: None) -> None:
    """What a dead process left is found and removed: containers, networks and volumes; a living one's stays."""
    import docker as library

    client = library.from_env()
    try:
        ended = subprocess.Popen(("true",))
        dead = container_leftovers.owner(ended.pid)
        ended.wait()
        for name, owner in (("dead", dead), ("live", container_leftovers.owner())):
            labels = {LABEL: f"test-{name}", container_leftovers.OWNER: owner, container_leftovers.NETWORK: name}
            client.networks.create(f"pe-test-{name}", labels=labels)
            client.volumes.create(f"pe-test-{name}", labels=labels)
            client.containers.run(
                IMAGE, ["sleep", "99"], detach=True, labels=labels, network=f"pe-test-{name}", name=f"pe-test-{name}"
            )
        found = [item for item in container.find_leftovers() if item.name.startswith("pe-test-")]
        assert {(item.kind, item.name) for item in found} == {
            (kind, "pe-test-dead") for kind in ("container", "network", "volume")
        }
        assert "removed container pe-test-dead of run test-dead" in container.remove_leftovers()
        assert docker("containers", f"{LABEL}=test-dead") + docker("volumes", f"{LABEL}=test-dead") == ""
        assert docker("containers", f"{LABEL}=test-live") == "pe-test-live"
        assert container_reaper.reap("live", interval=0.01) == 3
        assert docker("networks", f"{LABEL}=test-live") == ""
    finally:
        container_leftovers.remove(container_leftovers.of_network("live") + container_leftovers.of_network("dead"))
        client.close()


def test_owner_of_other_machines_and_boots(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process is gone when its id is free or was given again, or the machine booted; of other machines none is."""
    host, boot, pid, started = container_leftovers.owner().split(" ")
    assert not container_leftovers.is_gone(f"{host} {boot} {pid} {started}")
    assert container_leftovers.is_gone(f"{host} {boot} {pid} {int(started) - 1}")
    assert container_leftovers.is_gone(f"{host} {boot} 4194999 {started}")
    assert container_leftovers.is_gone(f"{host} another-boot/{boot.partition('/')[2]} {pid} {started}")
    assert not container_leftovers.is_gone(f"{host} {boot.partition('/')[0]}/pid:[1] {pid} 1")
    assert not container_leftovers.is_gone(f"elsewhere {boot} {pid} 1")
    assert not container_leftovers.is_gone("")


def test_no_daemon(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Without a daemon `auto` is told so at once, there are no leftovers, and a run says how to go on."""
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere/docker.sock")
    assert not container.docker_answers()
    assert not container.image_available(IMAGE)
    assert container.find_leftovers() == []
    assert container.remove_leftovers() == []
    run = new_run(tmp_path_factory)
    runtime = ContainerRuntime(run)
    with pytest.raises(ConfigurationError, match=r"no Docker daemon answers at unix:///nowhere.*runtime=process"):
        asyncio.run(runtime.open())
    asyncio.run(runtime.close())
    run.events.close()
    monkeypatch.setenv("DOCKER_HOST", "tcp://192.0.2.1:2375")
    assert not container.docker_answers()
    with pytest.raises(
        ConfigurationError, match=r"points to tcp://192.0.2.1:2375, but the daemon must be on this mach"
    ):
        container.check_daemon()


def test_testcontainers_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without testcontainers the error names the extra that brings it."""
    monkeypatch.setitem(sys.modules, "testcontainers.core.container", None)
    with pytest.raises(ConfigurationError, match=r"pip install 'pytest-enterprise\[containers\]'"):
        container.import_testcontainers()


def test_reaper_told_that_all_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    """The reaper leaves at once when the run ended in good order."""
    done = subprocess.run(
        (sys.executable, "-m", "pytest_enterprise.runtimes.container_reaper", "none"), input=b"done", timeout=20
    )
    assert done.returncode == 0


@pytest.mark.parametrize("version", [1, 2])
def test_cpu_of_control_groups(tmp_path: Path, version: int) -> None:
    """CPU time is read from the control groups of either version; of a process not seen there is none."""
    proc = tmp_path / "proc" / "7"
    proc.mkdir(parents=True)
    if version == 1:
        (proc / "cgroup").write_text("3:memory:/docker/x\n2:cpu,cpuacct:/docker/x\n0::/docker/x\n")
        folder = tmp_path / "sys/fs/cgroup/cpuacct/docker/x"
        folder.mkdir(parents=True)
        (folder / "cpuacct.usage").write_text("1500000000\n")
    else:
        (proc / "cgroup").write_text("0::/system.slice/docker-x.scope\n")
        folder = tmp_path / "sys/fs/cgroup/system.slice/docker-x.scope"
        folder.mkdir(parents=True)
        (folder / "cpu.stat").write_text("usage_usec 1500000\nuser_usec 1000000\n")
    assert cgroup_cpu_seconds(7, system=tmp_path) == 1.5
    assert cgroup_cpu_seconds(8, system=tmp_path) is None
    (proc / "cgroup").write_text("0::/gone\n")
    assert cgroup_cpu_seconds(7, system=tmp_path) is None


def test_cpu_of_a_daemon_elsewhere(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where control groups are not seen, the daemon's statistics tell the CPU time."""
    monkeypatch.setattr("pytest_enterprise.runtimes.container_instance.cgroup_cpu_seconds", lambda pid: None)
    assert asyncio.run(instance(bench, "web").cpu_seconds()) > 0
