"""Declaring a stack, in Python and in TOML; and what a running one refuses."""

import time

import pytest

from pytest_enterprise import External, Link, Service, Stack, stack_file
from pytest_enterprise.engines import clock, disk
from pytest_enterprise.errors import ConfigurationError, EngineFailed, EngineMissing, MachineCannot
from pytest_enterprise.live import LiveStack

FILES = ("{python}", "-m", "http.server", "{port}", "--bind", "{bind}")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: Stack([Service(name="a", command=FILES), Service(name="a", command=FILES)]),
            "two engines are named 'a'",
        ),
        (
            lambda: Stack([Service(name="a", command=FILES)], [Link("a", "b")]),
            "no engine is named 'b'. Did you mean|Known: a",
        ),
        (lambda: Stack([Service(name="a", command=FILES)], [Link("load", "a", "sql")]), "a has no port 'sql'"),
        (lambda: Service(name="load", command=FILES), "'load' is taken"),
        (lambda: Service(name="a b", command=FILES), "use letters"),
        (lambda: Service(name="a"), "starts nothing"),
        (lambda: Service(name="a", command="python x"), "give a tuple of words"),
        (lambda: Service(name="a", command=FILES, replicas=0), "at least 1 instance"),
        (lambda: Service(name="a", command=FILES, start_timeout=0), "must be positive"),
        (lambda: External(name="a"), "needs a url"),
    ],
)
def test_what_cannot_be_meant_is_refused(make, message):
    with pytest.raises(ConfigurationError, match=message):
        make()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("engines = 3 4", "stack file"),
        ("[engine.a]", "write .engines.NAME."),
        ("[engines.a]\nkind = 'Redis'", "kind='Redis' is unknown. .*Known"),
        ("[engines.a]\nkind = 'Etcd'\nreplica = 3", "'replica' is unknown. Did you mean 'replicas'"),
        ("links = ['a b']", "not of the form"),
    ],
)
def test_mistakes_in_a_file_name_the_place(tmp_path, text, message):
    path = tmp_path / "stack.toml"
    path.write_text(text)
    with pytest.raises(ConfigurationError, match=message):
        stack_file.load(path)


def test_a_file_in_either_language_declares_the_same(tmp_path):
    (tmp_path / "s.toml").write_text("links = ['load -> etcd:client']\n[engines.etcd]\nkind = 'etcd'\nreplicas = 3\n")
    (tmp_path / "s.py").write_text(
        "from pytest_enterprise import *\ndef stack():\n"
        "    return Stack([Etcd(name='etcd', replicas=3)], [Link('load', 'etcd', 'client')])\n"
    )
    assert stack_file.load(tmp_path / "s.toml") == stack_file.load(tmp_path / "s.py")
    for text in ("def stack(:\n", "x = 1\n", "1/0\n"):
        (tmp_path / "bad.py").write_text(text)
        with pytest.raises(ConfigurationError, match="stack file"):
            stack_file.load(tmp_path / "bad.py")
    with pytest.raises(ConfigurationError, match="does not exist"):
        stack_file.load(tmp_path / "none.toml")


def start(new_run, engine, **settings):
    with LiveStack(new_run(runtime="process", **settings), Stack([engine])):
        pass


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (("no-such-program",), r"'no-such-program' is neither below .engines/ nor on PATH"),
        (
            ("{python}", "-c", "import sys; print('alas'); sys.exit(3)"),
            r"(?s)ended before it was ready \(exit code 3\).*alas",
        ),
        (
            ("{python}", "-c", "print('busy', flush=True); import time; time.sleep(60)"),
            r"(?s)not ready within 1 s.*busy",
        ),
        (("{python}", "-m", "http.server", "{prot}"), r"placeholder \{prot\}.*Did you mean 'port'"),
        (("{link[shop]}",), r"names no link"),
    ],
)
def test_an_engine_that_does_not_come_up_says_why(new_run, command, message):
    with pytest.raises((EngineFailed, EngineMissing, ConfigurationError), match=message):
        start(new_run, Service(name="a", command=command, start_timeout=1))


def test_a_program_for_another_machine_is_told(new_run, tmp_path):
    foreign = tmp_path / "foreign"
    foreign.write_bytes(
        b"\x7fELF\x02\x01\x01" + bytes(9) + (2).to_bytes(2, "little") + (183).to_bytes(2, "little") + bytes(44)
    )
    foreign.chmod(0o755)
    with pytest.raises(EngineFailed, match="aarch64"):
        start(new_run, Service(name="a", command=(str(foreign),), start_timeout=2))


def test_cpu_of_each_instance(new_run):
    """CPU seconds are told for each instance by name, those of its children too, and grow while it works."""
    work = "import os, subprocess, sys; subprocess.Popen((sys.executable, '-c', 'while True: pass'))"
    busy = Service(name="busy", command=(FILES[0], "-c", f"{work}; os.execv(sys.argv[1], sys.argv[1:])", *FILES))
    with LiveStack(new_run(runtime="process"), Stack([busy, Service(name="files", command=FILES)])) as live:
        deadline = time.monotonic() + 20
        while (told := live.cpu_seconds()).get("busy", 0) < 0.3 and time.monotonic() < deadline:
            time.sleep(0.05)
        assert set(told) == {"busy", "files"}
        assert told["busy"] >= 0.3
        assert 0 < told["files"] < 5


def test_instances_come_and_go_with_their_links(new_run):
    spec = Stack([Service(name="files", command=FILES, replicas=2)], [Link("load", "files")])
    with LiveStack(new_run(runtime="process"), spec) as live:
        assert live.instances("files") == ["files-1", "files-2"]
        added = live.add("files")
        assert live.address(added) != live.address(added, "http")
        live.remove(added)
        assert live.add("files") == "files-4"
        with pytest.raises(ConfigurationError, match=f"no instance is named '{added}'"):
            live.address(added)
        with pytest.raises(ConfigurationError, match="no link is named"):
            live.running.resolve_links("files -> load")
        assert "Serving HTTP" in " ".join(live.log("files-1")) or live.log("files-1") is not None


def test_a_stack_without_a_proxy_has_no_links_to_disturb(new_run):
    spec = Stack([Service(name="files", command=FILES)], [Link("load", "files")])
    with LiveStack(new_run(runtime="process", direct=True), spec) as live:
        assert live.address("files") == live.address("files", "http")
        with pytest.raises(ConfigurationError, match="Leave --enterprise-direct away"):
            live.running.resolve_links("load -> files")


def test_settings_must_name_engines_that_exist(new_run):
    with pytest.raises(ConfigurationError, match=r"no engine is named 'fles'. Did you mean 'files'"):
        LiveStack(new_run(url={"fles": "http://x:1"}), Stack([Service(name="files", command=FILES)])).close()


def test_a_stack_is_varied_by_one_setting():
    spec = Stack([Service(name="a", command=FILES), Service(name="b", command=FILES)], [Link("a", "b")])
    varied = spec.with_engine("b", replicas=2)
    assert [engine.replicas for engine in varied.engines] == [1, 2]
    assert varied.links == spec.links
    assert spec.engine("b").replicas == 1
    with pytest.raises(ConfigurationError, match=r"b has no setting 'replica'. Did you mean 'replicas'"):
        spec.with_engine("b", replica=2)


@pytest.mark.parametrize(("setting", "module"), [("disk", disk), ("clock", clock)])
def test_what_the_machine_cannot_do_is_told_each_time(new_run, monkeypatch, setting, module):
    monkeypatch.setattr(module, "why_not", lambda: "it has none")
    live = LiveStack(new_run(runtime="process"), Stack([Service(name="a", command=FILES, **{setting: True})]))
    try:
        for _ in range(2):
            with pytest.raises(MachineCannot, match="a: it has none"):
                live.ensure()
    finally:
        live.close()
