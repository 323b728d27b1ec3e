from __future__ import annotations

import pytest

from pytest_enterprise.errors import ConfigurationError
from pytest_enterprise.load.arrivals import Constant, Poisson, Ramp, Spike, Step, Trace
from pytest_enterprise.load.notation import EXAMPLES, arrivals, words


@pytest.mark.parametrize(
    ("typed", "pattern", "told"),
    [
        (50, Constant(rate=50), "constant, 50 per second"),
        ("12.5", Constant(rate=12.5), "constant, 12.5 per second"),
        ("constant:200", Constant(rate=200.0), "constant, 200 per second"),
        ("poisson:50", Poisson(rate=50.0), "poisson, 50 per second"),
        ("ramp:10-200/30s", Ramp(first=10.0, last=200.0, over=30.0), "ramp, 10 to 200 per second"),
        ("step:50,100,200/10", Step(rates=[50.0, 100.0, 200.0], each=10.0), "step, 50 to 200 per second"),
        ("spike:50-5000@10s/2s", Spike(rate=50, peak=5000, at=10, lasting=2), "spike, 50 to 5,000 per second"),
        ('{"kind": "trace", "moments": [0, 3], "speed": 2}', Trace(moments=[0, 3], speed=2), "trace, 1.5 s long"),
        (
            '{"kind": "ramp", "first": 0, "last": 9, "over": 5, "poisson": true}',
            Ramp(first=0, last=9, over=5, poisson=True),
            "ramp, 0 to 9 independent per second",
        ),
    ],
)
def test_what_is_typed_is_the_pattern(typed, pattern, told):
    """Numbers, short forms and JSON make the patterns they name; a pattern is told in a few words."""
    assert arrivals(typed) == pattern
    assert arrivals(pattern) is pattern
    assert words(pattern) == told


def test_every_example_can_be_read():
    """The examples that help texts show are patterns."""
    assert {arrivals(example).kind for example in EXAMPLES.split(", ")} == {
        "constant",
        "poisson",
        "ramp",
        "step",
        "spike",
    }


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        ("", r"arrivals '' cannot be read; write it like constant:200"),
        ("poisson", r"'constant'|cannot be read"),
        ("spike:50-500", r"write it like spike:50-500@10s/2s"),
        ("step:50;60/2", r"write it like step:50,100,200/10s"),
        ("trace:log", r"'trace' has no short form. write it as JSON"),
        ("{1", r"is not JSON"),
        ('{"kind": "ramps"}', r"Did you mean 'ramp'"),
        ("constant:-1", r"cannot be read"),
        ("poisson:0", r"poisson: rate=0.0 is no rate"),
        (
            '{"kind": "trace", "moments": [0, 3, 1]}',
            r"entry 3 is at 1 s, before the one above it \(3 s\); sort it by time",
        ),
        ('{"kind": "trace", "moments": [0, "3"]}', r"entry 2 is '3', which is no moment; give seconds"),
        ('{"kind": "trace", "moments": [NaN, 3]}', r"entry 1 is nan, which is no moment"),
        ('{"kind": "trace", "moments": []}', r"there is no moment in it"),
        ('{"kind": "trace", "moments": 5}', r"trace"),
        (None, r"arrivals=None is no pattern; give Poisson\(rate=50\)"),
    ],
)
def test_what_cannot_be_read_is_told(typed, message):
    """The text, the rule and an example."""
    with pytest.raises(ConfigurationError, match=message):
        arrivals(typed)
