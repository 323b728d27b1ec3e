"""The page, as text."""

import builtins
import time

import pytest

from pytest_enterprise.errors import ConfigurationError
from pytest_enterprise.load.arrivals import Poisson
from pytest_enterprise.report import html, write_all
from pytest_enterprise.report.model import load_run
from pytest_enterprise.report.terminal import summary_lines


def test_everything_is_in_the_page(demo):
    """Headline, claims, verdicts with units, faults, engines, seed, commit and the command to run it again."""
    page = html.write(demo).read_text()
    for told in (
        "1 of 4 scenarios broke, 1 could not be judged; of 5 claims 1 broken, 2 held, ",
        "When the database answers 300 ms late",
        "No scenario proves it.",
        "99.77 %",
        "≥ 99.5 %",
        "2.580 s",
        "connections refused 1,312",
        "closed loop",
        "18.6",
        "4021338117",
        "with uncommitted changes",
        "pytest scenarios/failover/test_replicas.py::test_kill_one_of_three --enterprise-seed=4021338117",
        "during fault 1",
        "at 7.577 s: POST /tasks",
    ):
        assert told in page, told
    assert page.count("<svg class=ch viewBox") == 3


def test_the_environment_and_the_strength_of_controls_are_told(builder):
    build = builder()
    build.document["settings"]["environment"] = "staging <1>"
    build.begin("t.py::test_a", claim="replica-failover")
    build.events[-1]["strengths"] = {"SOC2:A1.2": ["restore", "partial"]}
    build.judged("lost", 0, 0, "<=", "tasks")
    build.end()
    page = html.write(build.write()).read_text()
    assert "<dt>Environment</dt><dd>staging &lt;1&gt;" in page
    assert "SOC2:A1.2 (partial)" in page


def test_claims_that_were_not_asked_about_come_last(builder):
    build = builder()
    asked = {"id": "asked", "text": "ASKED", "scenarios": ["test_a.py::test_one"]}
    others = [{"id": f"other-{n}", "text": f"OTHER {n}", "scenarios": [f"test_b.py::test_{n}"]} for n in range(3)]
    build.document["claims"] = [*others, asked, {"id": "none", "text": "NOBODY", "scenarios": []}]
    build.begin("test_a.py::test_one", claim="asked")
    build.judged("fact", 1, 1, "<=", "tasks")
    build.end()
    page = html.write(build.write()).read_text()
    assert page.index("ASKED") < page.index("OTHER 0") < page.index("OTHER 2") < page.index("NOBODY")


def test_nothing_is_fetched(demo):
    """No address of another file or host is in the page, and its policy forbids them."""
    page = html.write(demo).read_text()
    assert "default-src 'none'" in page
    assert 'src="' not in page
    assert "@import" not in page
    assert "url(http" not in page


def test_sabotage_is_told(sabotaged):
    """A sabotaged run shows what was caught and what survived, and says that it answers no claim."""
    page = html.write(sabotaged).read_text()
    assert "1 did not break the objective named" in page
    assert "answers no claim" in page
    assert "the scenario passed with idempotency_off on" in page


def test_a_killed_run_says_so(builder):
    """The page of a run that did not end in good order begins with that."""
    build = builder()
    build.begin("scenarios/test_a.py::test_b", claim="replica-failover")
    page = html.write(build.write(finished=False)).read_text()
    assert "did not end in good order" in page[: page.index("<main>")]


def test_hostile_names_are_escaped(builder):
    """Names, messages and errors of every kind appear as text."""
    evil = "</pre><script>alert(1)</script><img src=x onerror=alert(1)>"
    build = builder()
    build.document |= {"commit": evil, "command": ["pytest", evil], "settings": {evil: evil}}
    build.document["claims"] = [{"id": "evil", "text": evil, "source": evil, "controls": [evil], "scenarios": [evil]}]
    build.emit("engine.failed", engine=evil, reason=evil, log=[evil])
    build.emit("link.opened", link=evil, listen=evil, upstream=evil)
    build.begin(f"test_a.py::test_b[{evil}]", claim=evil, title=evil, suite=evil, controls=[evil])
    build.load(1, faults=[(evil, evil, 0.2, 0.6, {evil: evil})], behave=lambda _: (0.01, evil), name="evil")
    build.judged("x", 1, 2, "<=", evil, "broken", detail=evil)
    build.end("failed", evil)
    build.begin(f"test_a.py::test_c[{evil}]")
    build.end("error", evil)
    page = html.write(build.write()).read_text()
    assert evil not in page
    assert page.count("<script") == 1
    assert "<img" not in page
    assert "&lt;script&gt;" in page


def test_hundreds_of_scenarios_stay_small_and_quick(hundreds):
    """201 scenarios with 400,000 requests: read and written in seconds, in less than 950 kB, held ones folded."""
    began = time.process_time()
    path = html.write(hundreds)
    assert time.process_time() - began < 8
    assert path.stat().st_size < 950_000
    page = path.read_text()
    assert page.count("<details class=card") == 201
    assert page.count(" open>") == 8


def test_without_jinja2_the_way_out_is_named(demo, monkeypatch):
    """Where Jinja2 is missing, the report says how to get it, and the session goes on."""
    real = builtins.__import__

    def without(name, *arguments, **options):
        if name == "jinja2":
            raise ImportError(name)
        return real(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ConfigurationError, match=r"pip install 'pytest-enterprise\[report\]'"):
        html.render(load_run(demo))
    assert write_all(demo) is None


def test_a_full_disk_does_not_end_the_session(demo, monkeypatch):
    """A page that cannot be written is left out, and the summary says so."""

    def full(report):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(html, "write_report", full)
    assert write_all(demo) is None
    assert "index.html was not written" in " ".join(summary_lines(load_run(demo)))


def test_write_all_names_the_page(demo):
    """What is made of a run directory is its index.html, made anew each time."""
    assert write_all(demo) == demo / "index.html"
    first = (demo / "index.html").read_text()
    assert write_all(demo) == demo / "index.html"
    assert (demo / "index.html").read_text() == first


def test_the_head_tells_what_did_not_hold(demo):
    """Before anything else: which objective, found against its limit, and how to run it again."""
    page = html.write(demo).read_text()
    head = page[page.index("<body>") : page.index("<nav")]
    assert "<b>recovery</b> during: 2.580 s, limit ≤ 2.000 s" in head
    assert "pytest scenarios/failover/test_database.py::test_database_cut_for_3_s --enterprise-seed=4021338117" in head
    assert "test_kill_one_of_three" not in head


def test_a_run_that_held_has_no_such_head(builder, killing):
    """Where everything held, the head says so and nothing else."""
    build = builder()
    killing(build)
    assert "What did not hold" not in html.write(build.write()).read_text()


def test_claims_that_were_left_out_do_not_hide_the_others(builder, killing):
    """Many claims that a run did not try are folded and counted; those answered or without a scenario are not."""
    build = builder()
    more = [{"id": f"c-{n}", "text": f"claim {n}", "scenarios": [f"t.py::test_{n}"]} for n in range(9)]
    build.document["claims"] = [*build.document["claims"], *more]
    killing(build)
    page = html.write(build.write()).read_text()
    folded = page[page.index("because this run left out their scenarios") : page.index("<section id=verdicts")]
    assert "12 claims not judged, because" in page
    assert "claim 8" in folded
    assert "point-in-time-recovery" not in folded
    assert "replica-failover" not in folded


def test_an_open_loop_that_fell_behind(builder):
    """Loop, arrivals and the generator's lag stand at the load, and each of its tables says open loop."""
    build = builder()
    build.begin("t.py::test_a", claim="replica-failover")
    build.load(2, faults=[("kill", "a", 0.5, 1.0, {"pid": 1})])
    for event in build.events:
        if event["kind"] == "load.started":
            event |= {"closed_loop": False, "arrivals": Poisson(rate=220).document()}
        if event["kind"] == "load.finished":
            event["behind"] = "12 of 400 arrivals were not made"
    build.judged("x", 1, 2, "<=", "s")
    build.end()
    page = html.write(build.write()).read_text()
    card = page[page.index("<details class=card") : page.index("<section id=engines")]
    assert "poisson, 220 per second" in card
    assert "generator behind</b> 12 of 400 arrivals were not made" in card
    assert "closed" not in card
    assert card.count("open loop") >= 3
    assert '"#ms-open"' in card
