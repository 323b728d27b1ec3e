"""Who may use an interface on loopback."""

import pytest

from pytest_enterprise.control import guard


@pytest.mark.parametrize("host", ["127.0.0.1:80", "localhost:8089", "LOCALHOST", "[::1]:80", "127.1.2.3", "127.0.0.1"])
def test_names_of_this_machine_pass(host):
    assert guard.why_not("GET", {"host": host}) is None


@pytest.mark.parametrize(
    "host",
    [
        "", "example.org", "localhost.example.org", "127.0.0.1.example.org", "127.0.0.1@example.org", "0.0.0.0",
        "192.168.1.2:80", "[::]:80", "[fe80::1]", "[", "127.1", "2130706433", "localhost.",
    ],
)  # fmt: skip
def test_everything_else_is_refused(host):
    assert "is not this machine's loopback" in guard.why_not("GET", {"host": host})


def test_a_page_of_its_own_passes_where_there_is_one():
    own = {"host": "127.0.0.1:8089", "origin": "http://127.0.0.1:8089", "sec-fetch-site": "same-origin"}
    assert guard.why_not("DELETE", own, browser=True) is None
    assert "pages of other sites" in guard.why_not("DELETE", own)
    for changed in ({"origin": "http://127.0.0.1:9000"}, {"origin": "null"}, {"sec-fetch-site": "same-site"}):
        assert "pages of other sites" in guard.why_not("DELETE", {**own, **changed}, browser=True)


def test_further_hosts_can_be_meant():
    assert guard.why_not("GET", {"host": "10.0.0.7:8089"}, names={"10.0.0.7"}) is None
