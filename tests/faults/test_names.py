"""Names that resolve to nothing, to something else, or late, for real programs; and that are right again afterwards."""

import os
import sys
import urllib.request
from pathlib import Path

import dns.message
import dns.rcode
import pytest

from pytest_enterprise import Link, Service, Stack, events
from pytest_enterprise.engines import resolver
from pytest_enterprise.errors import ActedOnNothing, ConfigurationError
from pytest_enterprise.faults.session import Faults
from pytest_enterprise.live import LiveStack
from pytest_enterprise.resolver.answers import Answers, Reply, Rule

LOOKUP = str(Path(__file__).with_name("lookup.py"))
FILES = ("{python}", "-m", "http.server", "{port}", "--bind", "{bind}")


def needs_names():
    """Skips where port 53 cannot be had; what the project itself installs must be there."""
    if reason := resolver.why_not("process"):
        pytest.fail(reason) if os.environ.get("CI") and os.geteuid() == 0 else pytest.skip(reason)


@pytest.fixture(scope="module")
def live(new_run):
    needs_names()
    spec = Stack(
        [
            Service(
                name="lookup",
                command=(sys.executable, LOOKUP, "{port}", "{link[shop]}"),
                replicas=2,
                names=True,
                ready_path="/localhost",
            ),
            Service(name="shop", command=FILES),
        ],
        [Link("lookup", "shop"), Link("load", "lookup")],
    )
    with LiveStack(new_run(runtime="process"), spec) as live:
        yield live


@pytest.fixture
def faults(live):
    faults = Faults(live, "test")
    yield faults
    faults.close()


@pytest.fixture
def look_up(live):
    """What an instance is told of a name, and the seconds that it took."""

    def look_up(name="shop.test", instance="lookup-1"):
        with urllib.request.urlopen(f"{live.url(instance)}/{name}", timeout=10) as answer:
            found, took, _ = answer.read().decode().split()
        return found, float(took)

    return look_up


def test_links_are_dialled_by_name(live, look_up):
    assert look_up()[0] == "127.0.0.1"
    assert look_up("elsewhere.example")[0] == "no-name"
    with urllib.request.urlopen(f"{live.url('lookup-1')}/localhost", timeout=5) as answer:
        assert answer.read().decode().split()[2].startswith("shop.test:")


@pytest.mark.parametrize(
    ("answer", "told"),
    [("nxdomain", "no-name"), ("servfail", "again"), ("refused", "again"), ("127.9.9.9", "127.9.9.9")],
)
def test_wrong_answers_for_one_client_alone(live, faults, look_up, answer, told):
    with faults.dns("lookup-1", answer) as fault:
        assert look_up()[0] == told
        assert look_up(instance="lookup-2")[0] == "127.0.0.1"
    assert look_up()[0] == "127.0.0.1"
    [ended] = [e for e in events.read(live.run.directory) if e["kind"] == "fault.ended" and e["fault"] == fault.id]
    assert ended["evidence"]["questions"] > 0


def test_late_answers_and_silence(faults, look_up):
    with faults.dns("lookup", "truth", delay=0.3):
        found, took = look_up()
        assert found == "127.0.0.1"
        assert took >= 0.3
    with faults.dns("lookup", "silence"):
        found, took = look_up()
        assert found == "again"
        assert took >= 2  # two attempts of a second
    assert look_up()[1] < 0.3


def test_only_names_that_fit(faults, look_up):
    with faults.dns("lookup", name="lookup-*.test"):
        assert look_up("lookup-2.test")[0] == "no-name"
        assert look_up("shop.test")[0] == "127.0.0.1"


def test_names_of_added_instances_are_known(live, look_up):
    added = live.add("shop")
    try:
        assert look_up(f"{added}.test")[0] == "127.0.0.1"
    finally:
        live.remove(added)
    assert look_up(f"{added}.test")[0] == "no-name"


def test_a_fault_that_nobody_asks_into_is_an_error(faults):
    with pytest.raises(ActedOnNothing), faults.dns("lookup-1"):
        pass


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda f: f.dns("shop"), "shop asks for no names; declare its engine with names=True"),
        (lambda f: f.dns("lookup", "nxdomian"), "Did you mean 'nxdomain'"),
        (lambda f: f.dns("lookup", "1.2.3"), "is neither an IPv4 address nor an answer"),
        (lambda f: f.dns("lookup", "truth"), "disturbs nothing"),
        (lambda f: f.dns("lookup", delay=-1), "delay=-1 is out of range"),
    ],
)
def test_what_cannot_be_meant_is_refused(faults, make, message):
    with pytest.raises(ConfigurationError, match=message):
        make(faults)


def test_what_is_no_question_is_not_answered(tmp_path):
    answers = Answers(tmp_path / "missing")
    assert answers.reply(b"garbage", {"127.0.0.1"}) == Reply(None)
    answers.add(Rule("127.0.0.1", "*", "127.0.0.9", 0.5))
    asked = dns.message.make_query("a.test", "AAAA")
    wire, delay = answers.reply(asked.to_wire(), {"127.0.0.1"})
    assert delay == 0.5
    assert (dns.message.from_wire(wire).rcode(), dns.message.from_wire(wire).answer) == (dns.rcode.NOERROR, [])
