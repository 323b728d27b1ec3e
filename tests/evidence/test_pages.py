"""The pages that auditors open: what they say of a run and of a period, and that nothing in a run can act in them."""

import json
import re
from datetime import UTC, datetime

import pytest
from evidence_runs import Clock, sixty_days

from pytest_enterprise.evidence import auditor, coverage_page, documents, pages, records
from pytest_enterprise.evidence.coverage import coverage, write
from pytest_enterprise.evidence.ledger import Ledger


def text_of(html):
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html.partition("<body>")[2]))


@pytest.fixture
def page(demo):
    documents.write(demo)
    return (demo / "evidence" / auditor.NAME).read_text(encoding="utf-8")


def test_each_control_has_its_text_its_strength_and_its_scenarios(page):
    told = text_of(page)
    assert re.search(r"SOC 2 trust services criteria .*? A1\.2 .*? direct test_\w+ (held|broken), direct", told)
    assert "the sentences are this project's, not the official text" in told


def test_it_concludes_nothing(page):
    told = text_of(page).lower()
    assert "compliant" not in told
    assert "that is for an auditor to conclude" in told
    assert "tested environment not stated" in told


def test_what_did_not_hold_stands_at_its_head(page):
    head = text_of(page).partition(" Controls Control It asks that")[0]
    assert "broken" in head
    assert "for all of them every scenario held" not in head


def test_controls_that_nothing_supports_are_told(page):
    assert re.search(r"\d+ controls that a technical test can support have no scenario in this run", text_of(page))


def test_the_same_run_gives_the_same_page(demo):
    found = []
    for _ in range(2):
        documents.write(demo)
        found.append((demo / "evidence" / auditor.NAME).read_bytes())
    assert found[0] == found[1]


def test_a_hostile_name_stays_a_name(demo):
    documents.write(demo)
    path = demo / "evidence" / "evidence.jsonl"
    hostile = "<script>alert(1)</script>\"' onload=x </style>"
    first, *lines = path.read_text().splitlines()
    told = [json.loads(line) | {"title": hostile, "node_id": f"a.py::{hostile}", "reason": hostile} for line in lines]
    path.write_text("\n".join([first, *map(json.dumps, told)]) + "\n")
    html = auditor.write(records.read(path)).read_text(encoding="utf-8")
    assert "<script" not in html
    assert html.count("</style>") == 1
    assert "&lt;script&gt;alert(1)" in html


def test_without_jinja2_all_else_is_made(demo, monkeypatch):
    monkeypatch.setattr(pages, "available", lambda: False)
    made = documents.write(demo)
    assert auditor.NAME not in {path.name for path in made}
    assert {"evidence.jsonl", "evidence.csv", "hdf.json"} <= {path.name for path in made}


@pytest.fixture(scope="module")
def period(tmp_path_factory, key):
    ledger = Ledger(tmp_path_factory.mktemp("pages") / "reports" / "ledger", key, clock=Clock())
    sixty_days(ledger)
    now = datetime(2026, 3, 2, 2, tzinfo=UTC)
    return coverage(ledger.directory, ledger.directory.parent, now=now)


def test_the_calendar_shows_each_day_by_a_sign(period):
    html = "".join(coverage_page.render(period))
    row = re.findall(r'<tr><th scope="row">SOC2:A1.2</th>(.*?)</tr>', html)
    signs = "".join("".join(re.findall(r">(.)</b>", line)) for line in row[:3])
    assert signs == "#########··#########·###wwwwX" + "#" * 31
    slots = "".join(re.findall(r'title="\d{4}-\d\d-\d\d 02:00 \w+">(.)</b>', html))
    assert slots == "#########mm###l#####a" + "#" * 39


def test_what_was_loosened_comes_first_and_the_rest_follows(period):
    told = text_of("".join(coverage_page.render(period)))
    changes = told.partition("What changed 3 changes of 5 ask for less than before.")[2].partition(" Exceptions ")[0]
    assert changes.count("loosened") == 3
    assert 0 < changes.index("200 ms before, ") < changes.index("registered: every 24 h")
    assert "expired in 1 run: 20260129T022300Z-nightly" in told
    assert "older than its time to live from 2026-02-08 to 2026-02-19" in told


def test_the_page_is_written_beside_the_other_forms(period, tmp_path):
    assert {path.name for path in write(period, tmp_path / "out")} == {"coverage.md", "coverage.json", "coverage.html"}
