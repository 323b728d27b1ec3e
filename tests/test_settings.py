"""Options are read once, from three sources, and a mistake names its source."""

import pytest

from pytest_enterprise import settings
from pytest_enterprise.errors import ConfigurationError


def read(flags=(), ini=(), environ=()):
    return settings.read(lambda o: dict(flags).get(o.name), lambda o: dict(ini).get(o.name), dict(environ))


def test_defaults():
    assert read() == settings.Settings()


def test_the_command_line_beats_the_environment_and_that_the_ini_file():
    environ = {"PYTEST_ENTERPRISE_RUNTIME": "container", "PYTEST_ENTERPRISE_SEED": "5"}
    found = read({"runtime": "process"}, {"seed": "6", "reports": "elsewhere"}, environ)
    assert (found.runtime, found.seed, found.reports) == ("process", 5, "elsewhere")


@pytest.mark.parametrize(("text", "meant"), [("true", True), ("on", True), ("0", False), ("no", False)])
def test_flags(text, meant):
    assert read(ini={"direct": text}).direct is meant


def test_pairs():
    assert read({"url": ["a=http://h:1", "b=x"]}).url == {"a": "http://h:1", "b": "x"}
    assert read(environ={"PYTEST_ENTERPRISE_IMAGES": "etcd=e:1,postgres=p:2"}).images == {
        "etcd": "e:1",
        "postgres": "p:2",
    }


def test_lists_of_files():
    assert read({"frameworks": ["a.toml", "b.toml"]}).frameworks == ("a.toml", "b.toml")
    assert read(environ={"PYTEST_ENTERPRISE_FRAMEWORKS": "a.toml, b.toml"}).frameworks == ("a.toml", "b.toml")


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("runtime", "docker", "'docker' is not one of auto, process, container"),
        ("seed", "-1", "'-1' is not a seed"),
        ("seed", "x", "'x' is not a seed"),
        ("start_timeout", "0", "'0' is not a time limit"),
        ("start_timeout", "nan", "'nan' is not a time limit"),
        ("direct", "maybe", "neither true nor false"),
        ("frameworks", ["a.toml", " "], "holds an empty name"),
        ("oscal_version", "2.0", "'2.0' is not one of 1.1.0"),
        ("url", ["nothing"], "not of the form ENGINE=VALUE"),
    ],
)
def test_mistakes_name_the_source_the_value_and_the_rule(name, value, message):
    with pytest.raises(ConfigurationError, match=message) as told:
        read({name: value})
    assert f"--enterprise-{name.replace('_', '-')}" in str(told.value)
