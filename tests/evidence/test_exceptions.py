"""exceptions.toml: who accepted which failure until when."""

import pytest

from pytest_enterprise.errors import ConfigurationError
from pytest_enterprise.evidence import exceptions

GOOD = """
[[exception]]
scenario = "t.py::test_it"
owner = "payments"
reason = "until the pool is new"
approver = "J. Doe"
expires = 2026-12-31
"""


@pytest.fixture
def load(tmp_path):
    def load(text):
        path = tmp_path / "exceptions.toml"
        path.write_text(text)
        return exceptions.load(path)

    return load


def test_no_file_means_no_exceptions(tmp_path):
    assert exceptions.load(tmp_path / "exceptions.toml") == []


def test_an_exception_has_owner_reason_approver_and_a_last_day(load):
    [found] = load(GOOD)
    assert found == {
        "scenario": "t.py::test_it",
        "owner": "payments",
        "reason": "until the pool is new",
        "approver": "J. Doe",
        "expires": "2026-12-31",
    }
    assert not exceptions.expired(found, "2026-12-31T23:59:59Z")
    assert exceptions.expired(found, "2027-01-01")


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('owner = "payments"', "", "owner=None; every exception has owner"),
        ('approver = "J. Doe"', 'approver = " "', "approver=' '"),
        ("expires = 2026-12-31", "", "expires=None; give the last day"),
        ("expires = 2026-12-31", 'expires = "2026-12-31"', "no quotes"),
        ("expires = 2026-12-31", "expires = 2026-12-31T10:00:00Z", "give the last day"),
        ('scenario = "t.py::test_it"', "", "name what it is for"),
        ('scenario = "t.py::test_it"', 'scenario = "x"\nclaim = "y"', "either scenario"),
        ("owner", "ower", "unknown key 'ower'. Did you mean 'owner'"),
        ("[[exception]]", "[exception]", "double brackets"),
        ("[[exception]]", "[[exceptions]]", "means nothing here"),
        ("[[exception]]", "[[exception", "cannot be read as TOML"),
    ],
)
def test_a_mistake_is_told_with_file_and_place(load, old, new, told):
    with pytest.raises(ConfigurationError, match=told) as error:
        load(GOOD.replace(old, new))
    assert "exceptions.toml" in str(error.value)


def test_parameters_of_a_test_are_covered_by_its_name_and_the_longest_lasting_one_applies(load):
    found = load(
        GOOD + GOOD.replace("2026-12-31", "2027-06-30") + GOOD.replace('scenario = "t.py::test_it"', 'claim = "c"')
    )
    for test, claim in (("t.py::test_it", ""), ("t.py::test_it[1-a]", ""), ("u.py::other", "c")):
        assert exceptions.waiver(found, test, claim, "2026-12-01")
    assert exceptions.waiver(found, "t.py::test_it", "", "2026-12-01")["expires"] == "2027-06-30"
    assert exceptions.waiver(found, "u.py::other", "", "2026-12-01") is None
    assert exceptions.waiver(found, "t.py::test_it", "c", "2027-07-01") is None
