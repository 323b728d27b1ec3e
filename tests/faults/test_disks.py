"""Disks that are full, slow, failing or without power, under real servers; and what a power failure takes."""

import asyncio
import os
import subprocess
import time
from pathlib import Path

import psycopg
import pytest

from pytest_enterprise import Etcd, Postgres, Stack, events
from pytest_enterprise.disk.journal import Journal
from pytest_enterprise.engines import disk
from pytest_enterprise.errors import ActedOnNothing, ConfigurationError
from pytest_enterprise.faults.session import Faults
from pytest_enterprise.live import LiveStack
from pytest_enterprise.runtimes import mounts


def needs_disks():
    """Skips where the machine has no FUSE; in CI what the project itself installs must be there."""
    if reason := disk.why_not():
        ours = Path("/dev/fuse").exists() and os.geteuid() == 0
        pytest.fail(reason) if ours and os.environ.get("CI") else pytest.skip(reason)


@pytest.fixture(scope="module")
def live(new_run):
    needs_disks()
    spec = Stack([Postgres(name="postgres", disk=True), Etcd(name="etcd", disk=True), Etcd(name="plain")])
    with LiveStack(new_run(runtime="process"), spec) as live:
        yield live


@pytest.fixture
def faults(live):
    faults = Faults(live, "test")
    yield faults
    faults.close()


@pytest.fixture
def sql(live):
    """Runs statements in a connection of their own, each for itself."""

    def sql(*statements):
        address = live.address("postgres", "sql")
        dsn = f"host={address.host} port={address.port} user=postgres dbname=app connect_timeout=5"
        with psycopg.connect(dsn, autocommit=True) as connection:
            for statement in statements:
                cursor = connection.execute(statement)
            return cursor.fetchall() if cursor.description else []

    return sql


def put(live, key, value, timeout=5):
    import aetcd

    async def body():
        address = live.address("etcd", "client")
        async with aetcd.Client(host=address.host, port=address.port, timeout=timeout) as client:
            await client.put(key.encode(), value.encode())

    asyncio.run(body())


def get(live, key):
    import aetcd

    async def body():
        address = live.address("etcd", "client")
        async with aetcd.Client(host=address.host, port=address.port, timeout=5) as client:
            found = await client.get(key.encode())
            return found and found.value.decode()

    return asyncio.run(body())


def evidence(live, fault):
    [ended] = [e for e in events.read(live.run.directory) if e["kind"] == "fault.ended" and e["fault"] == fault.id]
    return ended["evidence"]


def test_a_power_failure_takes_what_was_not_synced(live, faults, sql):
    """Committed with fsync it stays, committed without it is gone; and the database comes back by itself."""
    sql("CREATE TABLE safe (n int)", "CREATE TABLE hasty (n int)", "CHECKPOINT")
    sql("INSERT INTO safe SELECT generate_series(1, 100)")
    for _ in range(5):  # the database syncs every 0.2 s in any case
        sql("SET synchronous_commit = off", "INSERT INTO hasty SELECT generate_series(1, 100)")
        with faults.power_failure("postgres") as failure:
            pass
        assert evidence(live, failure)["ended"]["postgres"] == "signal 9 (SIGKILL)"
        assert sql("SELECT count(*) FROM safe") == [(100,)]
        if sql("SELECT count(*) FROM hasty") == [(0,)]:
            break
        sql("TRUNCATE hasty")
    else:
        pytest.fail("nothing was lost in five power failures")
    assert evidence(live, failure)["lost_bytes"] > 0


def test_the_registry_keeps_what_it_acknowledged(live, faults):
    for number in range(50):
        put(live, f"/{number}", "acknowledged")
    with faults.power_failure("etcd") as failure:
        pass
    assert [get(live, f"/{number}") for number in range(50)] == ["acknowledged"] * 50
    assert evidence(live, failure)["lost_bytes"] >= 0


def test_a_full_disk_is_told_to_clients_and_forgotten_afterwards(live, faults, sql):
    sql("CREATE TABLE growing (text text)")
    with faults.disk_full("postgres") as full, pytest.raises(psycopg.Error, match=r"No space left on device|could not"):
        sql("INSERT INTO growing SELECT repeat('x', 1000) FROM generate_series(1, 20000)")
    assert evidence(live, full)["refused"] > 0
    sql("INSERT INTO growing SELECT repeat('x', 1000) FROM generate_series(1, 2000)")
    assert sql("SELECT count(*) FROM growing") == [(2000,)]


def test_a_slow_disk_is_felt_by_what_must_be_synced(live, faults):
    put(live, "/slow", "before")
    began = time.monotonic()
    put(live, "/slow", "still quick")
    quick = time.monotonic() - began
    with faults.disk_slow("etcd", 0.1):
        began = time.monotonic()
        put(live, "/slow", "slow")
        assert time.monotonic() - began >= 0.1 + quick / 2
    assert get(live, "/slow") == "slow"


def test_errors_of_the_disk_reach_the_server(live, faults, sql):
    """What cannot be written is not acknowledged, and is not there afterwards unless it was."""
    sql("CREATE TABLE failing (n int)", "CHECKPOINT")
    with faults.disk_errors("postgres", path="pg_wal"), pytest.raises(psycopg.Error):
        sql("INSERT INTO failing SELECT generate_series(1, 10)")
    assert sql("SELECT count(*) FROM failing") in ([(0,)], [(10,)])
    sql("INSERT INTO failing SELECT generate_series(1, 10)")


def test_a_read_only_disk_takes_no_writes(live, faults, sql):
    with faults.disk_read_only("postgres"), pytest.raises(psycopg.Error):
        sql("CREATE TABLE unwritten AS SELECT generate_series(1, 10000)")
    sql("CREATE TABLE written AS SELECT generate_series(1, 100) AS n")
    assert sql("SELECT count(*) FROM written") == [(100,)]


def test_a_fault_that_no_write_met_is_an_error(faults):
    with pytest.raises(ActedOnNothing), faults.disk_errors("etcd", path="nowhere"):
        pass


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda f: f.disk_full("plain"),
            "plain has no disk with faults; declare its engine with disk=True",
        ),
        (lambda f: f.power_failure("plain"), "plain has no disk with faults"),
        (lambda f: f.disk_slow("etcd", 0), "delay=0 is out of range"),
        (lambda f: f.disk_errors("etcd", 2), "share=2 is out of range"),
        (lambda f: f.disk_errors("etcd", path="("), "is no regular expression"),
    ],
)
def test_what_cannot_be_meant_is_refused(faults, make, message):
    with pytest.raises(ConfigurationError, match=message):
        make(faults)


def test_disks_are_unmounted_with_their_stack(new_run):
    needs_disks()
    before = len(mounts._mounted())
    with LiveStack(new_run(runtime="process"), Stack([Etcd(name="etcd", disk=True)])):
        assert len(mounts._mounted()) == before + 1
    assert len(mounts._mounted()) == before
    assert mounts.find_leftovers() == []


class Files:
    """A directory with a journal, changed as the file system changes it."""

    def __init__(self, top):
        self.top = top / "disk"
        self.top.mkdir()
        (top / "removed").mkdir()
        self.journal = Journal(top / "removed")

    def path(self, name):
        return str(self.top / name)

    def create(self, name):
        descriptor = os.open(self.path(name), os.O_RDWR | os.O_CREAT)
        self.journal.created(self.path(name))
        return descriptor

    def write(self, descriptor, data, offset=0):
        self.journal.overwrites(descriptor, offset, len(data))
        os.pwrite(descriptor, data, offset)

    def listing(self):
        return {path.name: path.read_bytes() for path in self.top.iterdir()}


@pytest.fixture
def files(tmp_path):
    return Files(tmp_path)


def test_contents_go_back_to_the_last_sync(files):
    one = files.create("one")
    files.write(one, b"abcdef")
    files.journal.synced(one)
    files.write(one, b"XY", 2)
    files.write(one, b"Z", 2)
    files.write(one, b"more", 10)
    files.journal.truncates(one, 1)
    os.ftruncate(one, 1)
    os.close(one)
    assert files.journal.lose() == (2 + 1 + 4 + 13, 0)
    assert files.listing() == {"one": b"abcdef"}
    assert files.journal.lose() == (0, 0)


def test_names_go_back_to_the_last_sync_of_their_directory(files):
    for name in ("kept", "renamed", "replaced"):
        descriptor = files.create(name)
        files.write(descriptor, name.encode())
        os.close(descriptor)
    files.journal.settle()
    os.close(files.create("new"))
    files.journal.removes(files.path("kept"))
    files.journal.renames(files.path("renamed"), files.path("replaced"))
    assert set(files.listing()) == {"new", "replaced"}
    assert files.journal.lose() == (0, 3)
    assert files.listing() == {"kept": b"kept", "renamed": b"renamed", "replaced": b"replaced"}
    files.journal.renames(files.path("renamed"), files.path("replaced"))
    files.journal.synced_directory(str(files.top))
    assert files.journal.lose() == (0, 0)
    assert files.listing() == {"kept": b"kept", "replaced": b"renamed"}
    assert not list((files.top.parent / "removed").iterdir())


def test_syncing_a_new_file_keeps_its_name_too(files):
    one, two = files.create("one"), files.create("two")
    files.write(one, b"1")
    files.journal.synced(one)
    os.close(one)
    os.close(two)
    files.journal.lose()
    assert files.listing() == {"one": b"1"}


def test_a_directory_that_was_not_synced_goes_with_what_is_in_it(files):
    Path(files.path("folder")).mkdir()
    files.journal.created(files.path("folder"))
    os.close(files.create("folder/inner"))
    files.journal.lose()
    assert files.listing() == {}


def exercise(top):
    """What a program sees that uses all of a file system."""
    seen = []
    top.mkdir()
    file = top / "file"
    file.write_text("one\n")
    with file.open("a") as more:
        more.write("two\n")
    seen.append(file.read_text())
    (top / "link").symlink_to("file")
    seen += [(top / "link").readlink(), (top / "link").read_text()]
    (top / "hard").hardlink_to(file)
    seen.append(file.stat().st_nlink)
    file.chmod(0o600)
    os.utime(file, ns=(5, 7))
    status = file.stat()
    seen += [status.st_mode, status.st_atime_ns, status.st_mtime_ns, status.st_size, status.st_uid]
    os.utime(file)
    seen.append(file.stat().st_mtime_ns > 7)
    os.chown(file, os.getuid(), os.getgid())
    seen.append(os.access(file, os.R_OK))
    with file.open("r+b") as opened:
        opened.seek(2)
        opened.write(b"XY")
        opened.truncate(5)
        os.posix_fallocate(opened.fileno(), 0, 20)
        os.fsync(opened.fileno())
    seen.append(file.read_bytes())
    file.write_text("anew")
    os.truncate(file, 2)
    seen.append((top / "hard").read_text())
    (top / "folder").mkdir()
    (top / "folder").rename(top / "moved")
    file.rename(top / "moved" / "file")
    seen.append(sorted(str(path.relative_to(top)) for path in top.rglob("*")))
    with (top / "moved" / "file").open() as opened:
        (top / "moved" / "file").unlink()
        seen.append(opened.read())
    try:
        top.rmdir()
    except OSError as error:
        seen.append(error.errno)
    (top / "moved").rmdir()
    descriptor = os.open(top, os.O_RDONLY)
    os.fsync(descriptor)
    os.close(descriptor)
    seen += [sorted(path.name for path in top.iterdir()), os.statvfs(top).f_bsize]
    return seen


def test_the_disk_is_a_file_system_like_any_other(live, tmp_path):
    assert exercise(live.running.site("etcd").data / "posix") == exercise(tmp_path / "posix")


def test_a_full_disk_says_so_to_those_who_ask(live, faults):
    top = live.running.site("etcd").data
    assert os.statvfs(top).f_bavail > 0
    full = faults.disk_full("etcd").begin()
    assert os.statvfs(top).f_bavail == 0
    with pytest.raises(OSError, match="No space left"):
        (top / "more").mkdir()
    full.end()
    assert os.statvfs(top).f_bavail > 0


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be another user")
def test_what_another_user_makes_is_that_user_s(live):
    """A server in a container, or one that must not be root, finds its own files."""
    data = live.running.site("etcd").data
    data.chmod(0o777)
    script = "mkdir folder && echo text > folder/file && ln -s file folder/link"
    subprocess.run(("sh", "-c", script), cwd=data, user=65534, group=65534, extra_groups=[], check=True)
    made = [data / "folder", data / "folder/file", data / "folder/link"]
    assert {(path.lstat().st_uid, path.lstat().st_gid) for path in made} == {(65534, 65534)}
    (data / "mine").touch()
    assert (data / "mine").stat().st_uid == 0
