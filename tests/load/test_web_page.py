"""The page in Locust's web UI, in a real browser: Debian's Chromium, headless."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from pytest_enterprise import events
from pytest_enterprise.load import records
from pytest_enterprise.ports import Ports
from pytest_enterprise.report.model import load_run

EVIL = "<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script>"
STACK = """
links = ["load -> shop"]
[engines.shop]
kind = "External"
url = "{url}"
"""
OBJECTIVES = """
[tool.pytest-enterprise.objectives.shop]
availability = {kind = "Availability", at_least = 0.99, phase = "whole"}
latency-p99 = {kind = "Latency", percentile = 99, at_most = 0.4, phase = "whole"}
felt = {kind = "Availability", at_least = 0.99, phase = "during", endpoint = "GET /"}
"""


class Held:
    """A program that serves a web UI, and where."""

    def __init__(self, process, url, folder, server):
        self.process = process
        self.server = server
        self.url = url
        self.folder = folder

    def ask(self, path, data=None, method=None, **headers):
        body = json.dumps(data).encode() if data is not None else None
        if body:
            headers.setdefault("Content-Type", "application/json")
        request = urllib.request.Request(self.url + path, body, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                return answer.status, answer.read().decode(), answer.headers
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode(), error.headers

    def swarm(self, users, rate=""):
        """Begin a load as Locust's own form does, which gives the fields that were left empty too."""
        body = f"user_count={users}&spawn_rate={users}&rate={rate}".encode()
        with urllib.request.urlopen(f"{self.url}/swarm", body, timeout=10) as answer:
            assert json.load(answer)["success"]

    def state(self):
        return json.loads(self.ask("/enterprise/state")[1])


@pytest.fixture
def hold(tmp_path, serve, locustfile):
    """Runs a program with a web UI until the test ends; words with ``{port}``, ``{users}`` and ``{host}``."""
    ports = Ports()
    started = []
    server = serve()
    (tmp_path / "stack.toml").write_text(STACK.format(url=server.url))
    (tmp_path / "pyproject.toml").write_text(OBJECTIVES)
    values = {"port": ports.take(), "other": ports.take(), "users": str(locustfile(rate=20)), "host": server.url}

    def run(*words, **variables):
        command = [sys.executable, *(word.format_map(values) for word in words)]
        log = (tmp_path / "log").open("w")
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_ENTERPRISE")}
        process = subprocess.Popen(command, cwd=tmp_path, stdout=log, stderr=log, env={**environment, **variables})
        log.close()
        held = Held(process, f"http://127.0.0.1:{values['port']}", tmp_path, server)
        started.append(process)
        end = time.monotonic() + 30
        while time.monotonic() < end:
            with contextlib.suppress(OSError):
                held.ask("/enterprise/state")
                return held
            assert process.poll() is None, (tmp_path / "log").read_text()
            time.sleep(0.05)
        raise AssertionError((tmp_path / "log").read_text())

    yield run
    for process in started:
        process.terminate()
        process.wait(20)
    ports.release()


UP = ("-m", "pytest_enterprise.cli", "up", "stack.toml", "--enterprise-runtime=process", "--web", "{users}")
UP += ("--web-port={port}", "--objectives=shop", "--window=3")


def visit(chromium, address, **options):
    """Open a page of the web UI; ``told`` gathers what the browser complained of, and requests to anywhere else."""
    page = chromium.new_context(**options).new_page()
    page.set_default_timeout(20_000)
    origin = re.match(r"http://[^/]+/", address).group()
    page.told = []
    page.on("console", lambda message: page.told.append(message.text))
    page.on("pageerror", lambda error: page.told.append(str(error)))
    page.on("request", lambda asked: None if asked.url.startswith(origin) else page.told.append(asked.url))
    page.goto(address)
    return page


def figures(frame):
    """What the chart shows: second to (sent, failed, p99 in s)."""
    rows = frame.locator("#chart").evaluate("() => [...seconds.values()]")
    return {number: (sent, failed, p99) for number, sent, failed, _, _, p99 in rows}


def newest(frame, wanted):
    """Wait until the p99 of the newest whole second is as ``wanted`` says."""
    end = time.monotonic() + 15
    while time.monotonic() < end:
        found = figures(frame)
        whole = sorted(found)[:-1]
        if whole and wanted(found[whole[-1]][2]):
            return found[whole[-1]][2]
        time.sleep(0.2)
    raise AssertionError(f"p99 over time: {found}")


def test_a_person_loads_breaks_and_mends_the_stack(chromium, hold):
    """Load begun in Locust, a fault begun and ended in the tab: its band, p99 and objectives follow, and the events."""
    held = hold(*UP)
    page = visit(chromium, f"{held.url}/", viewport={"width": 1280, "height": 900})
    page.get_by_label("Number of users").fill("10")
    page.get_by_label("Ramp up").fill("10")
    page.get_by_role("button", name="Start").click()
    page.get_by_role("tab", name="Faults and objectives").click()
    frame = page.frame_locator("#enterprise-frame")
    latency = frame.locator("#objectives tr", has_text="latency-p99")
    felt = frame.locator("#objectives tr", has_text="felt")
    felt.get_by_text("none was on in the last 3 s").wait_for()
    latency.get_by_text("held").wait_for()
    before = newest(frame, lambda p99: p99 < 0.4)

    frame.get_by_role("combobox", name="Fault").select_option("latency")
    frame.get_by_label("delay").fill("0.8")
    frame.get_by_role("button", name="Begin").click()
    frame.locator("#on li", has_text="latency on load -> shop, delay 0.8 s").wait_for()
    frame.locator("#chart rect.b").first.wait_for()
    assert newest(frame, lambda p99: p99 >= 0.8) > before
    assert "latency on load -> shop" in frame.locator("#chart svg").get_attribute("aria-label")
    latency.get_by_text("broken").wait_for()
    felt.get_by_text(re.compile(r"of \d+ requests failed")).wait_for()

    frame.get_by_role("button", name="End latency on load -> shop").click()
    frame.get_by_text("latency on load -> shop has ended.").wait_for()
    assert newest(frame, lambda p99: p99 < 0.4) < 0.8
    latency.get_by_text("held").wait_for()
    told = frame.locator("#history tbody tr")
    assert told.count() == 1
    assert re.search(r"delayed ms [\d,.]+", told.inner_text())
    assert re.search(r"broken\s+latency-p99: 0\.8", told.inner_text())
    bands = frame.locator("#chart rect.b").evaluate_all("all => all.map(one => one.getBoundingClientRect().width)")
    assert len(bands) == 2
    assert all(width > 5 for width in bands)
    page.get_by_role("button", name="Stop").click()
    frame.locator("#load", has_text="stopped").wait_for()
    assert page.told == []

    held.process.terminate()
    assert held.process.wait(20) == 0, (held.folder / "log").read_text()
    run = next((held.folder / "reports").glob("*/run.json")).parent
    found = {event["kind"]: event for event in events.read(run)}
    fault, load = found["fault.ended"], found["load.finished"]
    requests = list(records.read(run / "load" / load["load"]))
    assert len(requests) == load["requests"] > 300
    # Neither beginning nor ending a fault takes no time at all.
    began, ended = found["fault.began"]["began"] + 300_000_000, fault["ended"] - 900_000_000
    inside = [request.latency for request in requests if began < request.start < ended]
    assert min(inside) >= 0.7
    assert not (held.folder / "reports" / "up.json").exists()
    [scenario] = load_run(run).tests
    assert ([load.id for load in scenario.loads], len(scenario.faults)) == ([load["load"]], 1)
    assert (scenario.outcome, scenario.answer) == ("passed", "not judged")


def test_mistakes_are_told_where_they_were_made(chromium, hold):
    """What cannot be begun is told in an alert, in the words of the command line; nothing of it is run as markup."""
    held = hold(*UP)
    page = visit(chromium, f"{held.url}/enterprise/")
    page.get_by_text("Begin it in Locust").wait_for()
    page.get_by_label("delay").fill("0.2")
    page.get_by_label("Target").fill(EVIL)
    page.get_by_role("button", name="Begin").click()
    page.get_by_role("alert").get_by_text("no link is named '<img").wait_for()
    page.get_by_role("combobox", name="Fault").select_option("cut_answer")
    page.get_by_label("Target").fill("load -> shop")
    page.get_by_label("match").fill(EVIL)
    page.get_by_role("spinbutton", name="limit").fill("3")
    page.get_by_role("button", name="Begin").click()
    page.locator("#on li", has_text=f"match {EVIL}").wait_for()
    assert page.get_by_role("alert").inner_text() == ""
    page.get_by_role("button", name="End cut_answer").press("Enter")
    page.get_by_role("alert").get_by_text("acted on nothing").wait_for()
    page.locator("#history", has_text="nothing: no traffic met it").wait_for()
    page.get_by_label("when").fill("{")
    page.get_by_role("button", name="Begin").click()
    page.get_by_role("alert").get_by_text("when: { is no JSON").wait_for()
    assert "owned" not in page.title()
    assert page.locator("img").count() == 0
    assert [told for told in page.told if "status of 400" not in told] == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_can_be_read_and_used_by_all(chromium, hold, scheme):
    """Contrast, labels, the keyboard and a narrow screen; nothing is fetched from elsewhere."""
    held = hold(*UP)
    held.swarm(5)
    held.ask("/enterprise/faults", {"fault": "latency", "target": "load -> shop", "settings": {"delay": 0.05}})
    page = visit(chromium, f"{held.url}/enterprise/", color_scheme=scheme, viewport={"width": 390, "height": 800})
    page.locator("#on li").wait_for()
    page.locator("#chart path.p99").first.wait_for()
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    weak = page.evaluate(
        """() => {
            const light = c => { const [r, g, b] = c.match(/[\\d.]+/g).map(v => v / 255)
                .map(v => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
                return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
            const behind = e => { for (; e; e = e.parentElement) {
                const c = getComputedStyle(e).backgroundColor;
                if (c != "rgba(0, 0, 0, 0)" && c != "transparent") return c; } return "rgb(255, 255, 255)"; };
            return [...document.querySelectorAll("main *")].filter(e => {
                if (![...e.childNodes].some(n => n.nodeType == 3 && n.data.trim()) || !e.getClientRects().length)
                    return false;
                const style = getComputedStyle(e);
                const [a, b] = [light(e.tagName == "text" ? style.fill : style.color), light(behind(e))]
                    .sort((x, y) => y - x);
                return (a + 0.05) / (b + 0.05) < 4.5;
            }).map(e => `${e.tagName}.${e.getAttribute("class")}`);
        }"""
    )
    assert weak == []
    unnamed = page.evaluate(
        """() => [...document.querySelectorAll("input, select, button")]
            .filter(e => !e.labels?.length && !e.textContent.trim()).map(e => e.id)"""
    )
    assert unnamed == []
    end = page.get_by_role("button", name="End latency on load -> shop")
    for _ in range(16):
        page.keyboard.press("Tab")
        if end.evaluate("button => button === document.activeElement"):
            break
    page.keyboard.press("Enter")
    page.locator("#on li").wait_for(state="detached")
    page.locator("#h-on:focus").wait_for()
    assert page.told == []


def test_plain_locust_without_a_stack(chromium, hold, tmp_path):
    """Charts and objectives are there; where faults would be begun it says how to get them; nothing is left behind."""
    (tmp_path / "tmp").mkdir()
    held = hold(
        *("-m", "locust", "-f", "{users}", "--host={host}", "--web-host=127.0.0.1", "--web-port={port}"),
        TMPDIR=str(tmp_path / "tmp"),
        PYTEST_ENTERPRISE_OBJECTIVES="shop",
    )
    held.swarm(5)
    page = visit(chromium, f"{held.url}/enterprise/")
    page.get_by_text("pytest-enterprise up STACK").wait_for()
    assert page.locator("form").is_hidden()
    page.locator("#chart path.p99").first.wait_for()
    page.locator("#objectives tr", has_text="availability").get_by_text("held").wait_for()
    assert "Closed loop" in page.locator("#load").inner_text()
    page.get_by_text("The figures of the last seconds").click()
    page.locator("#figures tbody tr").nth(1).wait_for()
    assert held.ask("/enterprise/stack")[0] == 404
    assert list((tmp_path / "tmp").iterdir())
    assert page.told == []
    held.process.terminate()
    held.process.wait(20)
    assert list((tmp_path / "tmp").iterdir()) == []
    assert not (tmp_path / "reports").exists()


def test_load_finds_the_stack_that_is_up(hold, tmp_path):
    """`load --web` beside `up`, in the same directory, needs no host and no address of the control interface."""
    up = ("-m", "pytest_enterprise.cli", "up", "stack.toml", "--enterprise-runtime=process")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_ENTERPRISE")}
    with subprocess.Popen((sys.executable, *up), cwd=tmp_path, stdout=subprocess.PIPE, env=environment) as stack:
        try:
            assert any(b"Ctrl-C" in line for line in stack.stdout)
            held = hold("-m", "pytest_enterprise.cli", "load", "{users}", "--web", "--web-port={port}")
            told = json.loads(held.ask("/enterprise/stack")[1])
            assert [link["name"] for link in told["stack"]["links"]] == ["load -> shop"]
            state = held.state()
            assert state["locust"]["host"] == told["hosts"][0]
            assert state["locust"]["directory"] == told["directory"]
        finally:
            stack.terminate()
            stack.wait(20)
    deadline = time.monotonic() + 10
    while not held.state()["why_no_stack"] and time.monotonic() < deadline:
        time.sleep(0.2)
    assert "does not answer" in held.state()["why_no_stack"] or "No stack is up" in held.state()["why_no_stack"]


def test_loads_are_recorded_one_by_one(hold, locustfile):
    """With any locustfile and no stack: each load begins its own chart, and the run directory has them all."""
    locustfile(
        "from locust import HttpUser, constant, task\n\n"
        "class Visitor(HttpUser):\n    wait_time = constant(0.02)\n\n"
        "    @task\n    def visit(self):\n        self.client.get('/')\n"
    )
    held = hold("-m", "pytest_enterprise.cli", "load", "{users}", "--web", "--web-port={port}", "--host={host}")
    told = []
    for name in ("users-1", "users-2"):
        held.swarm(2)
        deadline = time.monotonic() + 10
        while (state := held.state())["locust"]["requests"] < 50 and time.monotonic() < deadline:
            time.sleep(0.1)
        assert (state["load"], state["locust"]["id"]) == (name, name)
        assert held.ask("/stop", method="POST")[0] == 200
        told.append(held.state())
        assert sum(second[1] for second in told[-1]["seconds"]) == told[-1]["locust"]["requests"] >= 50
        assert told[-1]["ended"] is not None
    assert "No stack is up" in told[-1]["why_no_stack"]
    held.process.terminate()
    assert held.process.wait(20) == 0
    run = load_run(held.folder / "reports" / "latest")
    loads = [load for scenario in run.tests for load in scenario.loads]
    assert [load.recorded.requests for load in loads] == [state["locust"]["requests"] for state in told]
    assert [note for load in loads for note in load.notes] + list(run.notes) == []


def test_a_rate_may_be_written_into_the_form(hold):
    """As text, like all that comes from there."""
    held = hold("-m", "locust", "-f", "{users}", "--host={host}", "--web-host=127.0.0.1", "--web-port={port}")
    held.swarm(1, rate="100")
    until(held, lambda state: any(second[1] > 60 for second in state["seconds"]))


MASTER = (
    "-m locust -f {users} --host={host} --web-host=127.0.0.1 --web-port={port} --arrivals=80 "
    "--master --master-bind-host=127.0.0.1 --master-bind-port={other}"
)
PROCESSES = {
    "plain Locust": "-m locust -f {users} --host={host} --web-host=127.0.0.1 --web-port={port} --processes=2 "
    "--master-bind-host=127.0.0.1 --master-bind-port={other} --master-port={other}",
    "load --web": "-m pytest_enterprise.cli load {users} --web --web-port={port} --host={host} --processes=2",
}


def children(pid):
    """The worker processes of a master, or of one that a command has started."""
    found = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    workers = [int(child) for child in found if b"web.observer" not in Path(f"/proc/{child}/cmdline").read_bytes()]
    return children(workers[0]) if len(workers) == 1 else workers


def until(held, wanted):
    """The first state that is as ``wanted``."""
    end = time.monotonic() + 20
    while time.monotonic() < end:
        state = held.state()
        if wanted(state):
            return state
        time.sleep(0.1)
    raise AssertionError(f"{state}\n{(held.folder / 'log').read_text()}")


@pytest.mark.parametrize("words", PROCESSES.values(), ids=PROCESSES)
def test_requests_of_all_workers_are_shown_and_a_lost_worker_is_told(hold, words):
    """Two workers make the load: the page has what both did, exactly; when one dies, nothing is judged any more."""
    held = hold(*words.split())
    until(held, lambda state: state["locust"]["workers"] == 2)
    held.swarm(4)
    until(held, lambda state: state["locust"]["requests"] >= 100)
    assert held.ask("/stop", method="POST")[0] == 200
    state = until(held, lambda state: state["ended"] is not None)
    requests = state["locust"]["requests"]
    # Of each user the request that was under way when Locust stopped it may be missing.
    assert held.server.total - 4 <= requests == sum(second[1] for second in state["seconds"]) <= held.server.total
    assert state["locust"]["missing"] == state["locust"]["problem"] == ""
    assert 0 < max(second[5] for second in state["seconds"]) < 1
    held.swarm(4)
    until(held, lambda state: state["load"] == "users-2" and state["locust"]["requests"] >= 40)
    os.kill(children(held.process.pid)[0], signal.SIGKILL)
    state = until(held, lambda state: state["locust"]["missing"])
    assert re.fullmatch(r"worker \d is lost: what it did after \d+\.\d s is unknown", state["locust"]["missing"])
    assert {objective["outcome"] for objective in state["objectives"]} == {"not judged"}
    assert "not all requests are known" in state["objectives"][0]["detail"]
    assert held.ask("/stop", method="POST")[0] == 200
    state = until(held, lambda state: state["ended"] is not None)
    assert "is lost" in state["locust"]["missing"]
    assert 40 <= state["locust"]["requests"] <= held.server.total


def test_workers_make_one_open_loop_and_the_page_has_all_of_it(hold, locustfile):
    """Workers that were started by hand: their arrivals together are the pattern, from the intended moments."""
    held = hold(*MASTER.split())
    words = ("-m", "locust", "-f", str(locustfile()), "--worker", "--master-host=127.0.0.1")
    port = held.process.args[-1].partition("=")[2]
    log = (held.folder / "workers").open("w")
    workers = [
        subprocess.Popen((sys.executable, *words, f"--master-port={port}"), stdout=log, stderr=log) for _ in range(2)
    ]
    log.close()
    try:
        until(held, lambda state: state["locust"]["workers"] == 2)
        held.swarm(2)
        until(held, lambda state: len(state["seconds"]) >= 4)
        assert held.ask("/stop", method="POST")[0] == 200
        state = until(held, lambda state: state["ended"] is not None)
    finally:
        for worker in workers:
            worker.terminate()
            worker.wait(20)
    assert (state["locust"]["loop"], state["locust"]["arrivals"]) == ("open", "constant, 80 per second")
    assert state["locust"]["missing"] == ""
    # A busy machine may hold up the last arrivals until the load is stopped.
    assert re.fullmatch(r"((; )?worker \d: \d+ of \d+ arrivals were not made)*", state["locust"]["behind"])
    assert all(78 <= second[1] <= 82 for second in state["seconds"][1:3])
    assert state["locust"]["requests"] == sum(second[1] for second in state["seconds"]) <= held.server.total


def test_the_open_loop_is_labelled_and_judged_only_while_it_keeps_up(chromium, hold):
    """Arrivals are told in words; when journeys that hang use up the limit, nothing is judged any more."""
    words = ("-m", "pytest_enterprise.cli", "load", "{users}", "--web", "--web-port={port}", "--host={host}")
    held = hold(*words, "--arrivals=200", "--users=100", "--objectives=shop", "--window=3")
    held.swarm(1)
    page = visit(chromium, f"{held.url}/enterprise/")
    page.locator("#load", has_text="Open loop, constant, 200 per second").wait_for()
    latency = page.locator("#objectives tr", has_text="latency-p99")
    latency.get_by_text("held").wait_for()
    held.server.mode = "hang"
    page.get_by_text("The generator is behind its arrivals, so nothing is judged").wait_for()
    latency.get_by_text("not judged").wait_for()
    latency.get_by_text("generator behind: the limit of 100 journeys at once").wait_for()
    held.process.terminate()
    held.process.wait(20)
    [scenario] = load_run(held.folder / "reports" / "latest").tests
    assert [load.closed_loop for load in scenario.loads] == [False]
    told = [e for e in events.read(held.folder / "reports" / "latest") if e["kind"] == "load.finished"]
    assert "limit of 100" in told[0]["behind"]


def test_a_full_disk_and_a_lost_observer_are_told(chromium, hold, locustfile):
    """The load goes on; the page says from when on it is not recorded, and who has to be started again."""
    limited = (
        "import resource, runpy, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000)); "
        "sys.argv[0] = 'locust'; runpy.run_module('locust', run_name='__main__')"
    )
    held = hold("-c", limited, "-f", "{users}", "--host={host}", "--web-host=127.0.0.1", "--web-port={port}")
    page = visit(chromium, f"{held.url}/enterprise/")
    held.swarm(20)
    page.get_by_text("This load is not recorded any more: cannot write").wait_for()
    before = json.loads(held.ask("/stats/requests")[1])["stats"][-1]["num_requests"]
    [observer] = Path(f"/proc/{held.process.pid}/task/{held.process.pid}/children").read_text().split()
    os.kill(int(observer), signal.SIGKILL)
    page.get_by_role("alert").get_by_text("Start Locust again").wait_for()
    deadline = time.monotonic() + 10
    while (now := json.loads(held.ask("/stats/requests")[1])["stats"][-1]["num_requests"]) <= before:
        assert time.monotonic() < deadline
        time.sleep(0.5)
    assert now > before
    held.process.terminate()
    assert held.process.wait(20) in (0, 1)
    assert "Traceback" not in (held.folder / "log").read_text()


def test_nothing_outlives_a_stack_that_is_killed(hold):
    """When `up` is killed, Locust and the process that reads its records end by themselves."""
    held = hold(*UP)
    held.swarm(2)
    children = Path(f"/proc/{held.process.pid}/task/{held.process.pid}/children").read_text().split()
    [locust] = [pid for pid in children if b"load.web" in Path(f"/proc/{pid}/cmdline").read_bytes()]
    [observer] = Path(f"/proc/{locust}/task/{locust}/children").read_text().split()
    held.process.kill()
    held.process.wait()
    deadline = time.monotonic() + 10
    while (left := [p for p in (locust, observer) if Path(f"/proc/{p}").exists()]) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert left == []


def test_other_sites_can_neither_read_nor_change_anything(hold):
    """Foreign hosts, origins and forms are refused; unlike Locust's own, no answer may be read by another site."""
    held = hold(*UP)
    begin = {"fault": "cut", "target": "load -> shop"}
    for headers in (
        {"Host": "rebound.example"},
        {"Origin": "https://evil.example"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Content-Type": "text/plain"},
    ):
        status, text, _ = held.ask("/enterprise/faults", begin, **headers)
        assert status == 403, headers
        assert json.loads(text)["error"]
    for path in ("/enterprise/state", "/swarm", "/"):
        assert held.ask(path, Host="rebound.example")[0] == 403
    assert held.state()["faults"] == []
    status, _, headers = held.ask("/enterprise/state")
    assert (status, headers["Access-Control-Allow-Origin"]) == (200, None)
    assert "frame-ancestors 'self'" in headers["Content-Security-Policy"]
    own = {"Origin": held.url, "Sec-Fetch-Site": "same-origin"}
    assert held.ask("/enterprise/faults", begin, **own)[0] == 200
    for path in ("/enterprise/page.py", "/enterprise/..%2fpage.py", "/enterprise/none"):
        assert held.ask(path)[0] == 404
    status, text, _ = held.ask("/enterprise/faults/none", method="DELETE")
    assert (status, "no fault 'none' is on" in text) == (400, True)
