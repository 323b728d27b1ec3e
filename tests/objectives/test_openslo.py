from __future__ import annotations

import sys

import pytest

from pytest_enterprise.errors import ConfigurationError
from pytest_enterprise.objectives import Availability, Correctness, ErrorBudget, Freshness, Latency, Objectives, judge
from pytest_enterprise.objectives.openslo import from_openslo

SLO = """
apiVersion: openslo/v1
kind: SLO
metadata:
  name: orders
  displayName: Orders are taken
  annotations: {team: shop}
spec:
  description: What customers of the shop rely on
  service: shop
  indicator:
    metadata: {name: orders-taken}
    spec:
      ratioMetric:
        counter: true
        good: {metricSource: {type: pytest-enterprise, spec: {measure: successes, endpoint: POST /orders}}}
        total: {metricSource: {type: pytest-enterprise, spec: {measure: requests, endpoint: POST /orders}}}
  timeWindow: [{duration: 4w, isRolling: true}]
  budgetingMethod: Occurrences
  objectives:
    - {displayName: Good, target: 0.995}
"""
SLI = """
apiVersion: openslo/v1
kind: SLI
metadata: {name: quick}
spec:
  thresholdMetric:
    metricSource: {type: pytest-enterprise, spec: {measure: latency, phase: during}}
---
apiVersion: openslo/v1
kind: Service
metadata: {name: shop}
spec: {description: A shop}
---
apiVersion: openslo/v1
kind: SLO
metadata: {name: speed}
spec:
  service: shop
  indicatorRef: quick
  timeWindow:
    - duration: 30d
      isRolling: true
  budgetingMethod: Occurrences
  objectives:
    - {op: lte, value: 0.25, targetPercent: 99}
    - {op: lte, value: 1, target: 0.999}
"""


@pytest.fixture
def parsed(tmp_path):
    def parse(text):
        path = tmp_path / "shop.slo.yaml"
        path.write_text(text)
        return from_openslo(path)

    return parse


def test_a_ratio_of_requests_is_an_availability(parsed):
    """Its target is the least share of good ones, of the endpoint, in the whole load."""
    assert parsed(SLO) == (Availability(name="orders", at_least=0.995, endpoint="POST /orders", phase="whole"),)


def test_bad_ones_and_answers(parsed):
    """The bad ones may be counted instead, and answers instead of requests."""
    bad = SLO.replace("good:", "bad:").replace("successes", "failures")
    assert parsed(bad) == parsed(SLO)
    answers = SLO.replace("successes", "right-answers").replace("measure: requests", "measure: answers")
    assert parsed(answers) == (Correctness(name="orders", at_least=0.995, endpoint="POST /orders", phase="whole"),)


def test_a_threshold_is_a_percentile(parsed):
    """99 % at most 0.25 s is the 99th percentile; an indicator may stand in a document of its own."""
    assert parsed(SLI) == (
        Latency(name="speed-1", percentile=99, at_most=0.25, phase="during"),
        Latency(name="speed-2", percentile=99.9, at_most=1, phase="during"),
    )
    first, _ = parsed(SLI.replace("measure: latency", "measure: age"))
    assert first == Freshness(name="speed-1", percentile=99, at_most=0.25, phase="during")


def test_less_than_is_not_at_most(parsed, request_at):
    """A percentile of just the value is at most it, and not less."""
    requests = [request_at(i / 10, 0.25) for i in range(1000)]
    for op, outcome in (("lte", "held"), ("lt", "broken")):
        objective, _ = parsed(SLI.replace("op: lte", f"op: {op}").replace("phase: during", "phase: whole"))
        assert judge([objective], requests, [])[0].outcome == outcome


def test_an_empty_list_of_alert_policies_asks_for_nothing(parsed):
    """Documents carry it by custom."""
    for empty in ("alertPolicies: []", "alertPolicies:"):
        assert parsed(SLO.replace("  service: shop", f"  {empty}\n  service: shop")) == parsed(SLO)


def test_an_annotation_limits_the_budget_of_the_time_window(parsed):
    """Four weeks, of which the load may use up a hundredth."""
    text = SLO.replace("{team: shop}", '{pytest-enterprise/error-budget-at-most: "0.01"}')
    assert parsed(text)[1] == ErrorBudget(
        name="orders-budget", target=0.995, at_most=0.01, days=28, endpoint="POST /orders", phase="whole"
    )
    with pytest.raises(ConfigurationError, match="needs an indicator of requests"):
        parsed(
            SLI.replace("{name: speed}", '{name: speed, annotations: {pytest-enterprise/error-budget-at-most: "1"}}')
        )


def test_a_test_judges_a_document_by_its_path(tmp_path, stream):
    """Relative to the root directory."""

    class Load:
        started = stopped = 0

        def records(self):
            return stream(20, name="POST /orders")

    (tmp_path / "slo").mkdir()
    (tmp_path / "slo" / "shop.yaml").write_text(SLO)
    made = Objectives(lambda kind, **fields: None, "test", root=tmp_path)
    (verdict,) = made.check("slo/shop.yaml", load=Load())
    assert (verdict.objective, verdict.outcome, verdict.samples) == ("orders", "held", 2000)


@pytest.mark.parametrize(
    ("text", "old", "new", "message"),
    [
        (SLO, "openslo/v1", "openslo/v2", "apiVersion='openslo/v2'; write openslo/v1"),
        (SLO, "kind: SLO", "kind: AlertPolicy", "kind='AlertPolicy' says nothing .* Known: SLI, SLO, Service"),
        (SLO, "  service: shop", "  servize: shop", "SLO orders: spec: 'servize' is unknown .* Did you mean 'service'"),
        (SLO, "  service: shop", "  alertPolicies: [page]", "'alertPolicies' is unknown or says nothing to a load"),
        (SLO, "Occurrences", "Timeslices", "budgetingMethod='Timeslices'; write Occurrences"),
        (SLO, "isRolling: true", "isRolling: false", "only rolling windows"),
        (SLO, "4w", "4 weeks", "duration='4 weeks'; write a number and"),
        (SLO, "[{duration: 4w, isRolling: true}]", "30d", "timeWindow='30d'; give a list of one"),
        (SLO, "target: 0.995", "target: 99.5", r"objectives\[1\]: Availability: at_least=99.5"),
        (SLO, "target: 0.995", "target: high", "target: 'high' is not a number"),
        (SLO, "target: 0.995", "target: true", "target: True is not a number"),
        (SLO, ", target: 0.995", "", "give either target"),
        (SLO, "target: 0.995", "target: 0.995, op: lte, value: 3", "'op' belongs to a thresholdMetric"),
        (SLO, "successes", "latency", "measure='latency' is not possible here"),
        (SLO, "measure: requests", "measure: answers", "successes are no part of answers"),
        (SLO, "requests, endpoint: POST /orders", "requests", "good and total differ in endpoint or phase"),
        (SLO, "type: pytest-enterprise, spec: {measure: req", "type: prom, spec: {measure: req", "type='prom'"),
        (SLO, "        total:", "        sum:", "'sum' is unknown"),
        (SLO, "ratioMetric", "rawMetric", "'rawMetric' is unknown"),
        (SLO, "kind: SLO", "kind: SLO\nkind: SLI", "'kind' is there twice .*line 2"),
        (SLO, "  name: orders", "  name: [orders", "cannot be read as YAML"),
        (SLO, "  name: orders", "  label: orders", "metadata: 'label' is unknown"),
        (SLO, "name: orders", "name: My orders", "use lower-case"),
        (SLO, "apiVersion: openslo/v1\n", "", "'apiVersion' is missing"),
        (SLO, SLO, "- 3", r"\[3\] is not a mapping"),
        (SLO, SLO, "", "holds no document of kind SLO"),
        (SLI, "indicatorRef: quick", "indicatorRef: quik", "'quik' is no SLI of this file. Did you mean 'quick'"),
        (SLI, "op: lte", "op: gt", "op='gt'; write lte"),
        (SLI, "phase: during", "phase: later", "phase='later'"),
        (SLI, "value: 0.25", "value: quick", "value: 'quick' is not a number"),
    ],
)
def test_what_cannot_be_judged_is_refused(parsed, text, old, new, message):
    """Each with the file, the place and what is allowed there; nothing is passed over."""
    assert old in text
    with pytest.raises(ConfigurationError, match=f"shop.slo.yaml.*{message}"):
        parsed(text.replace(old, new, 1))


def test_a_file_that_is_not_there(tmp_path):
    """One line."""
    with pytest.raises(ConfigurationError, match="cannot be read: No such file"):
        from_openslo(tmp_path / "a.yaml")


def test_without_pyyaml_it_says_how_to_get_it(tmp_path, monkeypatch):
    """It is an extra."""
    monkeypatch.setitem(sys.modules, "yaml", None)
    with pytest.raises(ConfigurationError, match=r"pip install 'pytest-enterprise\[openslo\]'"):
        from_openslo(tmp_path / "a.yaml")
