"""What earlier runs left in a directory, and how this one is judged by it."""

import json
import re

import pytest

from pytest_enterprise.errors import ConfigurationError
from pytest_enterprise.load import baselines
from pytest_enterprise.load.baselines import Baseline
from pytest_enterprise.objectives import ObjectiveBroken, ObjectiveNotJudged, Objectives
from pytest_enterprise.objectives.metrics import Block

VALUES = (1.0, 1.01, 0.99, 1.02, 0.98, 1.0, 1.01, 0.99)


def baseline(directory, run):
    return Baseline(directory, run=run, objectives=Objectives(lambda *_, **__: None, "t"))


@pytest.fixture
def filled(tmp_path):
    for number, value in enumerate(VALUES):
        baseline(tmp_path, f"run-{number}")("shop", value)
    return tmp_path


def test_runs_are_kept_as_a_line_each(filled):
    lines = [json.loads(line) for line in (filled / "shop.jsonl").read_text().splitlines()]
    assert [line["values"] for line in lines] == [{"median/all": value} for value in VALUES]
    assert {line["machine"] for line in lines} == {baselines.this_machine()}


def test_a_worse_run_fails_and_is_not_compared_with_later(filled):
    with pytest.raises(ObjectiveBroken, match="no-regression-median"):
        baseline(filled, "bad")("shop", 1.5).check()
    later = baseline(filled, "next")("shop", 1.0)
    later.check()
    assert len(later.results[0].blocks) == len(VALUES)


def test_the_first_runs_are_not_judged_which_passes_where_that_is_said(tmp_path):
    with pytest.raises(ObjectiveNotJudged, match="0 earlier runs, 6 needed"):
        baseline(tmp_path, "one")("shop", 1.0).check()
    baseline(tmp_path, "two")("shop", 9.0).check(must_decide=False)


def test_a_run_does_not_count_twice_and_not_against_itself(tmp_path):
    for _ in range(10):
        found = baseline(tmp_path, "same")("shop", 1.0)
    assert found.results[0].blocks == ()


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"failed": {"all": 1}}, "this run failed 1 of 11 requests"),
        ({"behind": "9 of 10 arrivals were not made"}, "the generator of this run fell behind .* 9 of 10 arrivals"),
    ],
)
def test_a_run_whose_figures_say_nothing_is_neither_judged_nor_kept(filled, fields, why):
    """Failing is fast, and the delay of a generator is not the system's."""
    found = baseline(filled, "odd")("shop", Block(samples={"all": [0.1] * 10}, seconds=1.0, **fields)).results[0]
    assert found.outcome == "not decided"
    assert re.search(why, found.detail)
    assert len((filled / "shop.jsonl").read_text().splitlines()) == len(VALUES)


def test_runs_of_another_machine_are_left_out_and_counted(filled, monkeypatch):
    monkeypatch.setattr(baselines, "this_machine", lambda: "another")
    found = baseline(filled, "moved")("shop", 1.0).results[0]
    assert found.outcome == "not decided"
    assert f"{len(VALUES)} runs of other machines" in found.detail


def test_lines_that_cannot_be_read_are_left_out(filled):
    path = filled / "shop.jsonl"
    path.write_text(path.read_text() + 'cut sho\n["x"]\n{"values": {"median/all": "x"}}\n')
    assert len(baseline(filled, "next")("shop", 1.0).results[0].blocks) == len(VALUES)


def test_endpoints_and_metrics_have_values_of_their_own(tmp_path):
    for number in range(7):
        found = baseline(tmp_path, str(number))(
            "shop", {"GET /": [1.0, 1.2], "POST /": [2.0]}, metric=["median", "p99"], endpoints="each"
        )
    assert [(r.metric, r.endpoint, r.ratio) for r in found.results] == [
        *(("median", "GET /", 1.0), ("median", "POST /", 1.0), ("p99", "GET /", 1.0), ("p99", "POST /", 1.0))
    ]


def test_mistakes_are_told(tmp_path):
    with pytest.raises(ConfigurationError, match="'a/b'"):
        baseline(tmp_path, "x")("a/b", 1.0)
    with pytest.raises(ConfigurationError, match="no median of 'GET'"):
        baseline(tmp_path, "x")("shop", {"GET /": [1.0]}, endpoints=["GET"])
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match="cannot write"):
        baseline(tmp_path / "file", "x")("shop", 1.0)
