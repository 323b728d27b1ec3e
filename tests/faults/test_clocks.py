"""Clocks that are set, under real servers; and the clock that is right again afterwards."""

import os
import sys
import time
import urllib.request
from pathlib import Path

import psycopg
import pytest

from pytest_enterprise import Etcd, Postgres, Service, Stack, events
from pytest_enterprise.engines import clock
from pytest_enterprise.errors import ActedOnNothing, ConfigurationError
from pytest_enterprise.faults.session import Faults
from pytest_enterprise.live import LiveStack

WATCH = str(Path(__file__).with_name("watch.py"))
DAY = 86_400


def needs_clocks():
    """Skips where the machine refuses namespaces; what the project itself installs must be there."""
    if reason := clock.why_not():
        pytest.fail(reason) if os.environ.get("CI") and os.geteuid() == 0 else pytest.skip(reason)


@pytest.fixture(scope="module")
def live(new_run):
    needs_clocks()
    spec = Stack(
        [
            Postgres(name="postgres", clock=True),
            Service(name="watch", command=(sys.executable, WATCH, "{port}"), replicas=2, clock=True),
            Service(name="plain", command=(sys.executable, WATCH, "{port}")),
        ]
    )
    with LiveStack(new_run(runtime="process"), spec) as live:
        yield live


@pytest.fixture
def faults(live):
    faults = Faults(live, "test")
    yield faults
    faults.close()


@pytest.fixture
def ahead(live):
    """Seconds that an instance's clock is ahead of ours, and the seconds that a sleep of 0.1 s took there."""

    def ahead(instance="watch-1"):
        with urllib.request.urlopen(f"{live.url(instance)}/", timeout=5) as answer:
            told, slept = map(float, answer.read().split())
        return told - time.time(), slept

    return ahead


def evidence(live, fault):
    [ended] = [e for e in events.read(live.run.directory) if e["kind"] == "fault.ended" and e["fault"] == fault.id]
    return ended["evidence"]


@pytest.mark.parametrize("offset", [DAY, -DAY])
def test_a_clock_jumps_and_is_right_again(live, faults, ahead, offset):
    """Only the one, only the time of day: sleeps take as long as ever."""
    with faults.clock("watch-1", offset=offset) as fault:
        told, slept = ahead()
        assert told == pytest.approx(offset, abs=1)
        assert 0.09 < slept < 1
        assert ahead("watch-2")[0] == pytest.approx(0, abs=1)
    assert ahead()[0] == pytest.approx(0, abs=1)
    assert evidence(live, fault)["looked_at_by"] == ["watch-1"]


def test_a_clock_runs_too_fast(faults, ahead):
    with faults.clock("watch", rate=11):
        before, _ = ahead()
        time.sleep(1)
        after, _ = ahead()
        assert after - before >= 10
    assert ahead()[0] == pytest.approx(0, abs=1)


def test_a_clock_jumps_to_and_fro(live, faults, ahead):
    with faults.flapping(faults.clock("watch-1", offset=DAY), on=0.2, off=0.2) as strobe:
        seen = {round(ahead()[0] / DAY) for _ in range(12)}
    assert seen == {0, 1}
    assert evidence(live, strobe)["times_acted"] >= 2


def test_the_database_tells_another_day(live, faults):
    """Its processes that run already, and those that start meanwhile; it is a user of its own there."""
    address = live.address("postgres", "sql")
    dsn = f"host={address.host} port={address.port} user=postgres dbname=app"
    ask = "SELECT extract(epoch FROM clock_timestamp())"

    def told(connection):
        return float(connection.execute(ask).fetchone()[0]) - time.time()

    with psycopg.connect(dsn, autocommit=True) as old:
        with faults.clock("postgres", offset=-DAY), psycopg.connect(dsn, autocommit=True) as new:
            assert told(old) == pytest.approx(-DAY, abs=1)
            assert told(new) == pytest.approx(-DAY, abs=1)
        assert told(old) == pytest.approx(0, abs=1)


def test_a_clock_stays_wrong_over_a_restart(faults, ahead):
    with faults.clock("watch-1", offset=DAY):
        with faults.kill("watch-1"):
            pass
        assert ahead()[0] == pytest.approx(DAY, abs=1)
    assert ahead()[0] == pytest.approx(0, abs=1)


def test_nothing_is_left_in_shared_memory(live, ahead):
    """A program that ends by SIGKILL leaves nothing either, and nor do those that it starts."""
    assert ahead()
    assert not [path.name for path in Path("/dev/shm").iterdir() if "faketime" in path.name]


def test_a_clock_that_nobody_looks_at_is_an_error(live, faults):
    with faults.pause("watch-2"), pytest.raises(ActedOnNothing), faults.clock("watch-2", offset=1):
        pass


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda f: f.clock("plain", offset=1),
            "plain has no clock that can be set; declare its engine with",
        ),
        (lambda f: f.clock("watch"), "leave the clock right"),
        (lambda f: f.clock("watch", offset="1 h"), "is not a number of seconds"),
        (lambda f: f.clock("watch", offset=1e12), "is out of range"),
        (lambda f: f.clock("watch", rate=0), "rate=0 is out of range"),
        (lambda f: f.clock("watch", rate=-1), "rate=-1 is out of range"),
    ],
)
def test_what_cannot_be_meant_is_refused(faults, make, message):
    with pytest.raises(ConfigurationError, match=message):
        make(faults)


def test_two_clocks_contradict_each_other(faults):
    with (
        pytest.raises(ConfigurationError, match="contradict each other on watch-1"),
        faults.clock("watch-1", offset=1),
        faults.clock("watch-1", offset=2),
    ):
        pass


def test_engines_that_cannot_be_reached_say_so():
    with pytest.raises(ConfigurationError, match="etcd asks the kernel itself for the time"):
        Etcd(name="etcd", clock=True)
