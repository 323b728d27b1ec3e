"""The report as plain text."""

import pytest

from pytest_enterprise.report.model import load_run
from pytest_enterprise.report.terminal import narrate, summary_lines


def test_summary(demo):
    """Verdicts worst first with value and limit, claims, the headline and where the run is; at most 120 columns."""
    lines = summary_lines(load_run(demo), width=120, unicode=True)
    text = "\n".join(lines)
    assert max(len(line) for line in lines if str(demo) not in line) <= 120
    row = next(line for line in lines if "recovery" in line)
    assert row.split() == ["✗", "broken", "recovery", "during", "2.580", "s", "≤", "2.000", "s"]
    assert text.index("test_database_cut") < text.index("kill_the_etcd") < text.index("test_kill_one")
    assert "✗ broken       database-cut" in text
    assert "– no scenario  point-in-time-recovery" in text
    assert "1 of 4 scenarios broke" in text
    assert "test_database_cut_for_3_s (closed loop)" in text
    assert any(str(demo) in line for line in lines)


def test_narrow_and_ascii(demo):
    """80 columns and an ASCII terminal get the same words."""
    lines = summary_lines(load_run(demo), width=80, unicode=False)
    assert max(len(line) for line in lines if str(demo) not in line) <= 80
    assert all(line.isascii() for line in lines)
    assert any("<= 2.000 s" in line and "x broken" in line for line in lines)


def test_hundreds_are_counted(hundreds):
    """Of hundreds of scenarios the held ones are counted, not listed."""
    lines = summary_lines(load_run(hundreds), width=120)
    assert len(lines) < 200
    assert any(line == "and 161 scenarios more, listed in the report" for line in lines)


def test_sabotage(sabotaged):
    """Each switch is told with what it showed, the survivors first with the reason."""
    text = "\n".join(summary_lines(load_run(sabotaged), width=120, unicode=True))
    assert "✗ survived    test_replicas.py::test_kill_one_of_three[idempotency_off]" in text
    assert text.index("survived") < text.index("caught")
    assert "claims" not in text


def test_control_characters_cannot_rewrite_the_terminal(builder):
    """An escape sequence in a name is shown, not obeyed."""
    build = builder()
    build.begin("test_a.py::test_b[\x1b[2J]", claim="replica-failover")
    build.end("failed", "\x1b]0;owned\x07")
    lines = summary_lines(load_run(build.write()), width=120)
    assert all(line.isprintable() for line in lines)


@pytest.mark.parametrize(
    ("event", "told"),
    [
        (
            {"kind": "engine.ready", "engine": "etcd-1", "seconds": 0.31, "version": "3.4"},
            "etcd-1 is ready after 0.310 s (3.4)",
        ),
        ({"kind": "engine.failed", "engine": "etcd-1", "reason": "ended"}, "etcd-1 failed: ended"),
        (
            {"kind": "load.started", "load": "l-1", "users": 3, "host": "http://127.0.0.1:1"},
            "load l-1: 3 users, closed loop, on http://127.0.0.1:1",
        ),
        (
            {"kind": "load.finished", "load": "l-1", "requests": 1234, "failures": 0},
            "load l-1: 1,234 requests, 0 failed",
        ),
        ({"kind": "fault.began", "fault_kind": "kill", "target": "a"}, "fault: kill on a begins"),
        (
            {
                "kind": "fault.ended",
                "fault": "kill-1",
                "proof": "acted",
                "acted": True,
                "evidence": {"gone_after_ms": 3},
            },
            "fault: kill-1 has ended, acted (gone after 3 ms)",
        ),
        (
            {"kind": "fault.ended", "fault": "cut-1", "proof": "acted", "acted": False, "evidence": {}},
            "fault: cut-1 has ended, acted on nothing",
        ),
        ({"kind": "scenario.sabotaged", "switch": "off", "outcome": "caught"}, "sabotage off: caught"),
        ({"kind": "run.started"}, None),
    ],
)
def test_narrate(event, told):
    """What happens is told in one line each; the rest is silence."""
    assert narrate(event) == told


def test_narrate_an_objective():
    """A verdict is told with value, limit and unit."""
    event = {
        "kind": "objective.judged", "objective": "recovery", "phase": "during", "value": 0.4, "limit": 3,
        "comparison": "<=", "unit": "s", "outcome": "held",
    }  # fmt: skip
    line = narrate(event)
    assert line is not None
    assert line.startswith("recovery (during): 0.400 s, limit ")
    assert line.endswith(" 3.000 s: held")
