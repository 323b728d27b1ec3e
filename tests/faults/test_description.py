"""The catalogue as data: every kind can be told, and what is told is what it takes."""

import pytest

from pytest_enterprise import Etcd, Link, Service, Stack
from pytest_enterprise.errors import ConfigurationError
from pytest_enterprise.faults import description, schedule
from pytest_enterprise.faults.catalogue import KINDS
from pytest_enterprise.live import LiveStack


@pytest.fixture
def running(new_run):
    """A stack that is planned and not started."""
    spec = Stack(
        [Etcd(name="etcd", replicas=3), Service(name="shop", command=("shop",)), Service(name="out", url="http://h:1")],
        [Link("etcd", "etcd"), Link("shop", "etcd"), Link("load", "shop"), Link("shop", "out")],
    )
    live = LiveStack(new_run(runtime="process"), spec)
    live.portal.call(live.running.open())
    yield live.running
    live.close()


@pytest.mark.parametrize("kind", KINDS)
def test_every_default_is_of_its_own_type(kind):
    """A form that is sent as it was filled with defaults is accepted as far as types go."""
    found = description.settings(kind)
    description.check_types(kind, {s.name: s.default for s in found if not s.required and kind != "flapping"})
    for setting in found:
        assert setting.type in ("number", "integer", "text", "boolean", "list", "object")
        assert not setting.choices or setting.default is None or setting.default in setting.choices


def test_what_is_told_can_be_begun(running):
    """Each target of each kind is one that the fault itself resolves."""
    values = {"number": 0.5, "integer": 1, "text": "x", "list": ["shop"], "boolean": True, "object": {}}
    told = {kind["kind"]: kind for kind in description.describe(running)}
    assert set(KINDS) - set(told) == {
        "clock", "disk_errors", "disk_full", "disk_read_only", "disk_slow", "dns", "packets", "power_failure",
    }  # fmt: skip
    for kind in told.values():
        if kind["kind"] in ("flapping", "noop"):
            continue
        settings = {s["name"]: (s["choices"] or [values[s["type"]]])[0] for s in kind["settings"] if s["required"]}
        settings |= {"status": 503} if kind["kind"] == "http" else {}
        for target in kind["targets"]:
            fault = schedule.make(kind["kind"], target, settings, "here")
            assert running.resolve_links(target) if kind["on"] == "link" else running.resolve_instances(target)
            assert fault.target == target
    assert told["topology"]["targets"] == ["etcd"]
    assert told["latency"]["targets"][:4] == ["etcd -> etcd", "shop -> etcd", "load -> shop", "shop -> out"]
    assert "latency" in told["flapping"]["settings"][0]["choices"]


def test_an_external_engine_has_links_to_disturb_and_no_process(running):
    told = {kind["kind"]: kind["targets"] for kind in description.describe(running)}
    assert "out" not in told["kill"]
    assert "shop -> out" in told["cut"]


@pytest.mark.parametrize(
    ("kind", "given", "sentence"),
    [
        ("latency", {"delay": True}, "delay=True is not a number"),
        ("corruption", {"bits": 1.5}, "bits=1.5 is not a whole number"),
        ("partition", {"others": [1]}, r"others=\[1\] is not a list of names"),
        ("partition", {"one_way": "yes"}, "one_way='yes' is not true or false"),
        ("latency", {"when": []}, r"when=\[\] is not an object"),
        ("latency", {"delay": None}, "delay=None is not a number"),
    ],
)
def test_values_of_another_type_are_refused(kind, given, sentence):
    with pytest.raises(ConfigurationError, match=sentence):
        description.check_types(kind, given)
    description.check_types("cut_answer", {"limit": None})
