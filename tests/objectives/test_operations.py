"""What is judged by what users noted: how old what they read was, and whether what they were promised was kept."""

from __future__ import annotations

import pytest

from pytest_enterprise.errors import ConfigurationError
from pytest_enterprise.objectives import Durability, Freshness, ObjectiveBroken, Objectives, judge

S = 1_000_000_000


def noted(count, *, start=0.0, step=0.01, **facts):
    return [{"t": round((start + i * step) * S), "key": f"k{i}", "status": "ok", **facts} for i in range(count)]


def ages(count, age, **facts):
    return [{**entry, "status": "seen", "age": age(i)} for i, entry in enumerate(noted(count, **facts))]


def one(objective, operations, *windows):
    (verdict,) = judge([objective], [], windows, operations=operations)
    return verdict


def test_the_percentile_of_ages():
    """Ages of 1 to 1,000 ms: the 99th is 990 ms."""
    reads = ages(1000, lambda i: (i + 1) / 1000)
    verdict = one(Freshness(at_most=1.0, phase="whole"), reads)
    assert (verdict.outcome, verdict.value, verdict.samples) == ("held", 0.99, 1000)
    assert verdict.interval[0] < 0.99 < verdict.interval[1]
    assert one(Freshness(at_most=0.9, phase="whole"), reads).outcome == "broken"


def test_ages_in_a_phase_and_the_oldest_told_with_what_the_fault_did(window):
    """Stale reads in the fault break it there alone."""
    reads = ages(2000, lambda i: 5.0 if i == 1200 else 2.0 if 1000 <= i < 1500 else 0.0)
    fault = window(10, 15)
    verdict = one(Freshness(at_most=1.0), reads, fault)
    assert (verdict.outcome, verdict.samples, verdict.value) == ("broken", 500, 2.0)
    assert verdict.detail.endswith("the oldest, 'k1200', was read 2.000 s into cut on a -> b")
    assert one(Freshness(at_most=1.0, phase="before"), reads, fault).outcome == "held"
    assert one(Freshness(at_most=1.0, phase="after"), reads, fault).outcome == "held"


def test_ages_of_one_endpoint():
    """Where users noted which; what has no age is no read."""
    reads = [*ages(400, lambda i: 0.1, endpoint="GET /a"), *ages(400, lambda i: 9.0, endpoint="GET /b"), *noted(5)]
    verdict = one(Freshness(at_most=1.0, phase="whole", endpoint="GET /a"), reads)
    assert (verdict.outcome, verdict.samples, verdict.objective) == ("held", 400, "freshness-p99-whole-get-a")
    nothing = one(Freshness(at_most=1.0, phase="whole", endpoint="GET /c"), reads)
    assert nothing.outcome == "not judged"
    assert "no age was noted of 'GET /c'" in nothing.detail


def test_too_few_reads_are_not_judged():
    """As with latencies: fifty reads have no 99th percentile."""
    verdict = one(Freshness(at_most=1.0, phase="whole"), ages(50, lambda i: 0.0))
    assert verdict.outcome == "not judged"
    assert "50 reads cannot support a claim beyond the 94th percentile; 300 needed" in verdict.detail


def test_all_that_was_acknowledged_was_kept():
    """Keys compare as text; what nobody acknowledged may be kept as well."""
    verdict = one(Durability(kept={f"k{i}" for i in range(500)}), noted(400))
    assert (verdict.outcome, verdict.value, verdict.samples) == ("held", 0, 400)
    assert "had 0.75 % or more been lost, it would have shown" in verdict.detail
    numbers = [{**entry, "key": i} for i, entry in enumerate(noted(300))]
    assert one(Durability(kept=[str(i) for i in range(300)]), numbers).outcome == "held"


def test_a_single_loss_is_told_with_its_time(window):
    """Which, when it was acknowledged, and what the fault was doing then."""
    operations = [*noted(30), {"t": 50 * S, "key": "gone?", "status": "unknown"}]
    verdict = one(Durability(kept={f"k{i}" for i in range(30) if i != 7}), operations, window(0.05, 1))
    assert (verdict.outcome, verdict.value, verdict.unit) == ("broken", 1, "operations")
    assert "1 of 30 acknowledged operations lost: k7, acknowledged 0.020 s into cut on a -> b" in verdict.detail


def test_what_was_acknowledged_in_the_fault(window):
    """By phase: the loss before it is not its own."""
    kept = {f"k{i}" for i in range(1, 1000)}
    assert one(Durability(kept=kept, phase="during"), noted(1000), window(2, 8)).outcome == "held"
    assert one(Durability(kept=kept, phase="before"), noted(1000), window(2, 8)).outcome == "broken"


def test_nothing_acknowledged_and_too_little_are_not_judged():
    """A dozen promises kept prove as little as none made."""
    assert one(Durability(kept=()), []).outcome == "not judged"
    few = one(Durability(kept={f"k{i}" for i in range(12)}), noted(12))
    assert few.outcome == "not judged"
    assert "12 acknowledged operations, 300 needed" in few.detail


@pytest.mark.parametrize("wrong", [{"kept": "abc"}, {"kept": 3}, {"kept": [], "at_most": -1}])
def test_settings_that_cannot_be_meant(wrong):
    """The keys are a collection, not a text."""
    with pytest.raises(ConfigurationError, match="Durability: "):
        Durability(**wrong)


def test_the_notes_of_every_load_are_judged(request_at):
    """The fixture asks each load for them."""

    class Load:
        started = stopped = 0

        def __init__(self, operations):
            self._operations = operations

        def records(self):
            return [request_at(0)]

        def operations(self):
            return self._operations

    made = Objectives(lambda kind, **fields: None, "test")
    loads = [Load(noted(200)), Load(noted(200, start=9))]
    (verdict,) = made.check(Durability(kept={f"k{i}" for i in range(200)}), load=loads)
    assert verdict.samples == 400
    with pytest.raises(ObjectiveBroken, match="400 of 400 acknowledged operations lost"):
        made.check(Durability(kept=(), name="kept-nothing"), load=loads)
