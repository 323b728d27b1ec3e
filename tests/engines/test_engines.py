"""Each engine for real: ready by its own word, at the addresses that it was given."""

import json
import stat
import subprocess
import sys
import time
import urllib.request

import pytest

from pytest_enterprise import Alertmanager, Discovery, Envoy, Etcd, External, Link, Postgres, Prometheus, Service, Stack
from pytest_enterprise.engines import obtain, version
from pytest_enterprise.errors import ConfigurationError
from pytest_enterprise.live import LiveStack
from pytest_enterprise.session import system

FILES = ("{python}", "-m", "http.server", "{port}", "--bind", "{bind}", "--directory", "{data}")


def get(url):
    with urllib.request.urlopen(url, timeout=5) as answer:
        return answer.read().decode()


def until(condition, limit=10.0):
    ends = time.monotonic() + limit
    while not condition():
        assert time.monotonic() < ends, "it did not happen in time"
        time.sleep(0.05)


@pytest.fixture(scope="module")
def live(new_run):
    """A gateway with fixed routes, watched by Prometheus."""
    spec = Stack(
        [
            Service(name="files", command=FILES, replicas=2),
            Envoy(name="gateway", ready_path="/"),
            Prometheus(name="prometheus", paths={"gateway": "/stats/prometheus"}, scrape_interval="200ms"),
            Alertmanager(name="alertmanager"),
        ],
        [
            Link("gateway", "files"),
            Link("load", "gateway"),
            Link("prometheus", "gateway", "admin"),
            Link("prometheus", "alertmanager"),
        ],
    )
    with LiveStack(new_run(runtime="process"), spec) as live:
        yield live


def test_the_gateway_routes_to_the_instances_of_the_stack(live):
    gateway = system("gateway", live)
    gateway.wait_for(2)
    assert "Directory listing" in get(gateway.url)
    links = {str(link.address) for link in live.running.resolve_links("gateway -> files")}
    assert set(gateway.endpoints()) == links
    before = gateway.requests()
    assert set(before) == links
    for _ in range(3):
        get(gateway.url)
    assert sum(gateway.requests().values()) - sum(before.values()) == 3
    assert gateway.statistics("users.downstream_rq_2xx")["http.users.downstream_rq_2xx"] >= 1


def test_monitoring_sees_what_it_links_to_and_knows_the_alertmanager(live):
    monitoring = system("monitoring", live)
    monitoring.wait_until('up{job="gateway", instance="gateway"} == 1')
    [(labels, value)] = monitoring.query('up{job="gateway"}')
    assert (labels["instance"], value) == ("gateway", 1.0)
    monitoring.wait_until('count_over_time(up{job="gateway"}[10s]) >= 2')
    samples = monitoring.sampled('up{job="gateway"}', 10)["gateway"]
    assert [value for _, value in samples] == [1.0] * len(samples)
    assert samples == sorted(samples)
    known = json.loads(get(live.url("prometheus", "/api/v1/alertmanagers")))["data"]["activeAlertmanagers"]
    assert len(known) == 1
    assert get(live.url("alertmanager", "/-/ready")) == "OK"


def test_a_database_that_others_can_use_at_once(new_run):
    import psycopg

    with LiveStack(new_run(runtime="process"), Stack([Postgres(name="db", database="shop")])) as live:
        host, port = live.address("db")
        with psycopg.connect(host=host, port=port, user="postgres", dbname="shop") as connection:
            assert connection.info.server_version >= 180000
            connection.execute("CREATE TABLE kept (x int)")
        live.kill("db")
        live.portal.call(live.running.restart("db"))
        with psycopg.connect(host=host, port=port, user="postgres", dbname="shop") as connection:
            assert connection.execute("SELECT count(*) FROM kept").fetchone() == (0,)


def test_a_lone_member_of_the_registry_is_quick_and_has_no_tunnel(new_run):
    with LiveStack(new_run(runtime="process"), Stack([Etcd(name="etcd")])) as live:
        registry = system("registry", live)
        assert registry.leader() == "etcd"
        registry.put("/a", "1")
        assert registry.items("/") == {"/a": "1"}
        registry.delete("/a")
        registry.delete("/a")
        assert registry.items("/") == {}
        assert "--peer-auto-tls" not in live.running.instance("etcd").command_line


@pytest.mark.parametrize(
    ("engines", "links", "message"),
    [
        ([Envoy(name="g")], [], "links to no service; say which path"),
        ([Envoy(name="g", routes={"/": "x"})], [], "g has no link to 'x'"),
        ([Discovery(name="d")], [], "d has no link to 'etcd'"),
        ([Prometheus(name="p", paths={"x": "/m"})], [], "p has no link to 'x'"),
        ([Prometheus(name="p", rules=("nowhere.yml",))], [], "rules='nowhere.yml' cannot be read"),
        ([Alertmanager(name="a", configuration="nowhere.yml")], [], "configuration='nowhere.yml' cannot be read"),
        ([External(name="x", url="nonsense")], [], "nonsense"),
        ([External(name="x", url="http://127.0.0.1:1", replicas=2)], [], "replicas=2"),
    ],
)
def test_what_an_engine_cannot_do_is_told_before_it_starts(new_run, engines, links, message):
    with pytest.raises(ConfigurationError, match=message):
        with LiveStack(new_run(runtime="process"), Stack(engines, links)):
            pass


def test_versions_are_those_of_the_programs_not_of_their_paths(tmp_path):
    folder = tmp_path / "python3.11"
    folder.mkdir()
    program = folder / "tool"
    program.write_text("#!/bin/sh\necho $0 version 4.5.6-rc1\n")
    program.chmod(0o755)
    assert version.of_program(program) == "4.5.6-rc1"
    assert version.of_program(None) == "unknown"
    assert version.of_program(tmp_path / "absent") == "unknown"


def script(folder, name, text):
    path = folder / name
    path.write_text(f"#!{sys.executable}\n{text}")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


def test_missing_programs_are_fetched_as_packages_and_unpacked(tmp_path, monkeypatch):
    files = {package: file for file, package in (obtain.PACKAGES | obtain.LIBRARIES).items()}
    bin = tmp_path / "bin"
    bin.mkdir()
    script(bin, "apt-get", "import sys, pathlib\n[pathlib.Path(p + '.deb').touch() for p in sys.argv[3:]]\n")
    script(
        bin,
        "dpkg",
        "import sys, pathlib\n"
        "usr = pathlib.Path(sys.argv[3]) / 'usr/bin'\nusr.mkdir(parents=True, exist_ok=True)\n"
        f"(usr / {files!r}[pathlib.Path(sys.argv[2]).stem]).touch()\n",
    )
    monkeypatch.setenv("PATH", str(bin))
    monkeypatch.setattr(obtain, "_installed", lambda _: False)
    assert obtain.obtain(tmp_path / "got") == []
    assert obtain.missing(tmp_path / "got") == []
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    told = obtain.obtain(tmp_path / "other")
    assert len(told) == len(obtain.PACKAGES | obtain.LIBRARIES)
    assert all("this is not Debian" in line for line in told)


def test_fetching_that_fails_is_told_in_a_line_for_each_program(tmp_path):
    bin = tmp_path / "bin"
    bin.mkdir()
    script(bin, "apt-get", "import sys\nsys.exit('E: Unable to locate package')\n")
    script(bin, "dpkg", "")
    done = subprocess.run(
        (sys.executable, "-m", "pytest_enterprise.engines.obtain", str(tmp_path / "got")),
        env={"PATH": str(bin)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0
    assert done.stderr.count("Unable to locate package") == len(obtain.PACKAGES | obtain.LIBRARIES)
