"""The control interface of a stack that is held: what it tells, what it does, what it refuses."""

import json
import urllib.request

import pytest

from pytest_enterprise import Link, Service, Stack, events
from pytest_enterprise.control.client import Control, Gone, Refused
from pytest_enterprise.control.server import ControlServer
from pytest_enterprise.live import LiveStack


def test_it_tells_what_there_is(ask, live):
    """Engines, links, and the kinds of faults with their settings and what each can act on here."""
    status, about = ask("GET", "/")
    assert status == 200
    assert about["directory"] == str(live.run.directory)
    assert about["hosts"][0] == live.url("files")
    _, stack = ask("GET", "/stack")
    assert [engine["name"] for engine in stack["engines"]] == ["files-1", "files-2"]
    assert [link["name"] for link in stack["links"]] == ["load -> files-1", "load -> files-2"]
    _, catalogue = ask("GET", "/catalogue")
    kinds = {kind["kind"]: kind for kind in catalogue}
    assert kinds["latency"]["targets"] == ["load -> files", "load -> files-1", "load -> files-2"]
    assert kinds["kill"]["targets"] == ["files", "files-1", "files-2"]
    delay, _, direction, _ = kinds["latency"]["settings"]
    assert (delay["name"], delay["type"], delay["unit"]) == ("delay", "number", "s")
    assert (delay["required"], delay["default"], delay["choices"]) == (True, None, [])
    assert direction["choices"] == ["both", "upstream", "downstream"]
    assert kinds["latency"]["about"].startswith("Delays each chunk by ``delay`` seconds")
    assert "disk_full" not in kinds  # no engine here lies on a disk with faults
    assert "partition" not in kinds  # and no two engines are joined


def test_a_fault_begins_acts_and_ends(ask, live):
    """What it did is told when it ends, and the run's events have its window."""
    status, began = ask(
        "POST", "/faults", {"fault": "latency", "target": "load -> files-1", "settings": {"delay": 0.05}}
    )
    assert (status, began["ended"], began["targets"]) == (201, None, ["load -> files-1"])
    urllib.request.urlopen(live.url("files"), timeout=5).close()
    _, now = ask("GET", "/faults")
    assert [fault["id"] for fault in now["faults"] if fault["ended"] is None] == [began["id"]]
    assert began["began"] < now["now"]
    status, ended = ask("DELETE", f"/faults/{began['id']}")
    assert (status, ended["acted"]) == (200, True)
    assert ended["evidence"]["delayed_ms"] >= 50
    assert "warning" not in ended
    told = {e["kind"]: e for e in events.read(live.run.directory) if e.get("fault") == began["id"]}
    assert (told["fault.began"]["began"], told["fault.ended"]["ended"]) == (ended["began"], ended["ended"])


def test_a_fault_that_met_nothing_is_ended_with_a_warning(ask):
    _, began = ask("POST", "/faults", {"fault": "latency", "target": "load -> files-2", "settings": {"delay": 0.05}})
    status, ended = ask("DELETE", f"/faults/{began['id']}")
    assert (status, ended["acted"]) == (200, False)
    assert "acted on nothing" in ended["warning"]


def test_faults_that_repeat(ask, live):
    settings = {"fault": "latency", "delay": 0.01, "on": 0.1, "off": 0.1}
    status, began = ask("POST", "/faults", {"fault": "flapping", "target": "load -> files-1", "settings": settings})
    assert (status, began["settings"]["on"]) == (201, 0.1)
    urllib.request.urlopen(live.url("files"), timeout=5).close()
    assert ask("DELETE", f"/faults/{began['id']}")[0] == 200


@pytest.mark.parametrize(
    ("document", "sentence"),
    [
        ({"fault": "latencey", "target": "load -> files", "settings": {}}, "Did you mean 'latency'"),
        ({"fault": "latency", "target": "load -> file", "settings": {"delay": 1}}, "no link is named 'load -> file'"),
        ({"fault": "latency", "target": "load -> files", "settings": {}}, "latency needs delay"),
        ({"fault": "latency", "target": "load -> files", "settings": {"delay": -1}}, "delay=-1 is out of range"),
        ({"fault": "latency", "target": "load -> files", "settings": {"delay": "1"}}, "delay='1' is not a number"),
        ({"fault": "latency", "target": "load -> files", "settings": {"dely": 1}}, "no setting 'dely'"),
        ({"fault": "partition", "target": "files", "settings": {"others": "x"}}, "others='x' is not a list of names"),
        ({"fault": "cut", "target": 7}, "target=7; name a link or an engine"),
        ({"fault": "cut", "target": "load -> files", "settings": [1]}, "settings=[1]; give an object"),
        ({"fault": ["cut"], "target": "load -> files"}, "is no fault"),
        ({"fault": "cut", "target": "load -> files", "delay": 1}, "unknown key 'delay'"),
        (b'{"fault": "latency", "settings": {"delay": NaN}}', "NaN is no number"),
        (b"[]", "the body is no object"),
        (b"{", "the body is no JSON"),
        (b"[" * 100_000, "the body is no JSON"),
        (b'{"fault": "\xff"}', "the body is no JSON"),
    ],
)
def test_what_cannot_be_meant_is_refused_in_a_sentence(ask, live, document, sentence):
    before = len(ask("GET", "/faults")[1]["faults"])
    status, answer = ask("POST", "/faults", document)
    assert status == 400
    assert sentence in answer["error"]
    assert "Traceback" not in answer["error"]
    assert len(ask("GET", "/faults")[1]["faults"]) == before


def test_contradictions_and_unknown_faults_are_refused(ask):
    cut = {"fault": "cut", "target": "load -> files-2"}
    _, began = ask("POST", "/faults", cut)
    try:
        late = {"fault": "latency", "target": "load -> files-2", "settings": {"delay": 0.1}}
        status, answer = ask("POST", "/faults", late)
        assert (status, "contradict each other" in answer["error"]) == (400, True)
    finally:
        ask("DELETE", f"/faults/{began['id']}")
    status, answer = ask("DELETE", f"/faults/{began['id']}")
    assert (status, answer["error"]) == (400, f"no fault {began['id']!r} is on. There is none.")
    assert ask("GET", "/nothing")[0] == 404
    assert ask("PUT", "/faults", {})[0] == 404


def test_loads_are_told_beside_the_faults(ask, live):
    """What a load generator tells stands in the run's events, with the link that its traffic takes."""
    started = {"kind": "load.started", "load": "users-1", "file": "load/users-1", "closed_loop": True}
    assert ask("POST", "/loads", {**started, "host": live.url("files"), "pid": 1, "test": "x"})[0] == 201
    told = events.read(live.run.directory)[-1]
    assert (told["kind"], told["test"], told["link"]) == ("load.started", "up", "load -> files-1")
    assert told["pid"] != 1
    for document, sentence in (
        ({**started, "kind": "run.finished"}, "kind='run.finished' is no event of a load"),
        ({"kind": "load.finished", "load": "users-1"}, "load.finished needs failures, requests"),
    ):
        status, answer = ask("POST", "/loads", document)
        assert (status, sentence in answer["error"]) == (400, True)


@pytest.mark.parametrize(
    ("headers", "sentence"),
    [
        ({"Host": "rebound.example:80"}, "host 'rebound.example:80' is not this machine's loopback"),
        ({"Host": "127.0.0.1.rebound.example"}, "is not this machine's loopback"),
        ({"Origin": "https://evil.example"}, "pages of other sites are refused"),
        ({"Origin": "null"}, "pages of other sites are refused"),
        ({"Sec-Fetch-Site": "cross-site"}, "pages of other sites are refused"),
        ({"Content-Type": "text/plain"}, "content type 'text/plain' is not accepted"),
        ({"Content-Type": "application/x-www-form-urlencoded"}, "is not accepted"),
    ],
)
def test_no_web_site_can_use_it(ask, headers, sentence):
    """A foreign host, origin or form is refused, and nothing begins."""
    before = len(ask("GET", "/faults")[1]["faults"])
    status, answer = ask("POST", "/faults", {"fault": "cut", "target": "load -> files-2"}, **headers)
    assert status == 403
    assert sentence in answer["error"]
    assert len(ask("GET", "/faults")[1]["faults"]) == before
    if "Content-Type" not in headers:
        assert ask("GET", "/faults", **headers)[0] == 403


def test_a_preflight_is_refused(held):
    """A browser that asks whether another site may send JSON hears no."""
    _, server, _ = held
    request = urllib.request.Request(f"{server.url}/faults", method="OPTIONS", headers={"Origin": "https://a.example"})
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request, timeout=5)
    with refused.value as answer:
        assert answer.code == 403
        assert "Access-Control-Allow-Origin" not in answer.headers


def test_the_end_undoes_every_fault(new_run):
    """What was begun and not ended is undone, and nothing begins any more."""
    command = ("{python}", "-m", "http.server", "{port}", "--bind", "{bind}")
    spec = Stack([Service(name="files", command=command)], [Link("load", "files")])
    with LiveStack(new_run(runtime="process"), spec) as live:
        server = ControlServer(live)
        control = Control(server.listen())
        control.begin({"fault": "pause", "target": "files"})
        control.begin({"fault": "freeze", "target": "load -> files"})
        server.close()
        urllib.request.urlopen(live.url("files"), timeout=5).close()
        with pytest.raises(Gone, match="does not answer"):
            control.get("/faults")
    kinds = [event["kind"] for event in events.read(live.run.directory) if event["kind"].startswith("fault.")]
    assert kinds.count("fault.ended") == 2


def test_the_client_tells_refusals(held):
    _, server, _ = held
    with pytest.raises(Refused, match="no fault is named 'x'") as refused:
        Control(server.url).begin({"fault": "x", "target": "files"})
    assert refused.value.status == 400
    assert json.dumps(Control(server.url).get("/stack"))
