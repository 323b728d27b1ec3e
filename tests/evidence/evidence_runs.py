"""Run directories as the plugin leaves them, made in a moment."""

import hashlib
import json
from datetime import UTC, datetime, timedelta

from pytest_enterprise.evidence.dsse import canonical
from pytest_enterprise.evidence.entries import format_time

START = datetime(2026, 1, 1, 2, tzinfo=UTC)


class Clock:
    """A clock that tests set."""

    def __init__(self, at=START):
        self.at = at

    def __call__(self):
        return self.at


def measurement(objective="availability", value=0.9995, limit=0.999, comparison=">=", unit="", **more):
    held = value >= limit if comparison == ">=" else value <= limit
    return {
        "attempt": 1,
        "objective": objective,
        "phase": "during",
        "fault": None,
        "value": value,
        "unit": unit,
        "comparison": comparison,
        "limit": limit,
        "interval": [value * 0.999, value * 1.001],
        "samples": 1000,
        "outcome": "held" if held else "broken",
        "detail": "",
        **more,
    }


def scenario(node_id="scenarios/test_failover.py::test_primary", controls=("SOC2:A1.2",), outcome=None, **fields):
    measurements = fields.pop("measurements", None) or [measurement()]
    broken = any(one["outcome"] == "broken" for one in measurements)
    return {
        "kind": "scenario",
        "node_id": node_id,
        "controls": [{"id": id, "kind": "failover", "strength": "direct"} for id in controls],
        "outcome": outcome or ("broken" if broken else "held"),
        "measurements": measurements,
        "attempts": [{"number": 1, "outcome": outcome or ("broken" if broken else "held")}],
        "flaky": False,
        "waiver": None,
        "again": f"pytest {node_id} --enterprise-seed=7",
        "artefacts": [],
        **fields,
    }


def make_run(reports, id="run-1", *, began=START, scenarios=None, exit_status=None, commit="a" * 40, **fields):
    """A run directory with events, requests and records; `fields` are those of the record of the run."""
    scenarios = [scenario()] if scenarios is None else scenarios
    directory = reports / id
    (directory / "load").mkdir(parents=True)
    (directory / "engines").mkdir()
    (directory / "evidence").mkdir()
    ended = began + timedelta(minutes=20)
    if exit_status is None:
        exit_status = int(any(one["outcome"] == "broken" for one in scenarios))
    (directory / "run.json").write_text(json.dumps({"format": 1, "run": id, "exit_status": exit_status}))
    (directory / "events.jsonl").write_text('{"t": 1, "kind": "run.started"}\n{"t": 2, "kind": "run.finished"}\n')
    (directory / "load" / "1.bin").write_bytes(bytes(range(200)))
    log = directory / "engines" / "etcd.log"
    log.write_text("ready\n")
    (directory / "index.html").write_text("<p>a report, made from the rest")
    run = {
        "kind": "run",
        "format": "pytest-enterprise/evidence/1",
        "run": id,
        "began": format_time(began),
        "ended": format_time(ended),
        "outcome": "finished",
        "exit_status": exit_status,
        "commit": commit,
        "clean": True,
        "seed": 7,
        "environment": {"name": "staging"},
        "frameworks": [{"id": "SOC2", "version": "2017", "sha256": "0" * 64}],
        "exceptions": [],
        "artefacts": [
            {"path": "engines/etcd.log", "sha256": hashlib.sha256(log.read_bytes()).hexdigest(), "size": 6},
        ],
        "sbom": None,
        **fields,
    }
    times = {"run": id, "began": format_time(began), "ended": format_time(ended)}
    lines = [canonical(run), *(canonical({**times, **one}) for one in scenarios)]
    (directory / "evidence" / "evidence.jsonl").write_bytes(b"".join(line + b"\n" for line in lines))
    (directory / "evidence" / "evidence.csv").write_text("node_id,outcome\n")
    return directory


def recorded(ledger, id="run-1", **fields):
    """A run that began and ended, in the ledger."""
    clock = ledger._clock
    ledger.begin(id, began=clock(), commit=fields.get("commit", "a" * 40))
    directory = make_run(ledger.directory.parent, id, began=clock(), **fields)
    clock.at += timedelta(minutes=21)
    ledger.finish(directory)
    return directory


FAILOVER = "scenarios/failover/test_database.py::test_primary_is_killed"
RESTORE = "scenarios/failover/test_backup.py::test_restore"
SMOKE = "scenarios/unit/test_smoke.py::test_answers"
EXCEPTION = {
    "scenario": FAILOVER,
    "owner": "payments team",
    "reason": "the pool is replaced in February",
    "approver": "J. Doe",
    "expires": "2026-01-28",
}


def night(day):
    """What the nightly run of one of the sixty days found: see :func:`sixty_days`."""
    limit = 200 if day < 30 else 250
    recovery = 2.0 + 0.02 * day + 0.03 * ((day * 7) % 5 - 2)
    waived = 24 <= day <= 27
    failover = scenario(
        FAILOVER,
        controls=("SOC2:A1.2",),
        measurements=[
            measurement("availability", 0.9 if 24 <= day <= 28 else 0.9995),
            measurement("p95", 150 + day % 3, limit, "<=", "ms"),
            measurement("recovery", recovery, 3.5, "<=", "s"),
        ],
        waiver=EXCEPTION if waived else None,
    )
    found = [failover]
    if day % 7 == 0 and day not in (35, 42):
        found.append(scenario(RESTORE, controls=("SOC2:A1.3",)))
    if day < 50:
        found.append(scenario(SMOKE, controls=()))
    return found


def sixty_days(ledger):
    """A nightly job from 1 January to 1 March 2026.

    Days count from 0. Days 9 and 10 had no run; day 14's was three hours late; day 20's was killed. Failover failed on
    days 24 to 28, which somebody accepted until day 27, 28 January, and nobody took back. From day 30 on, p95 may be
    250 ms in place of 200. Restore is tested each week, but for days 35 and 42. The smoke test was removed on day 50.
    Recovery becomes 0.02 s slower each day, with a limit of 3.5 s.
    """
    clock = ledger._clock
    clock.at = START - timedelta(days=1)
    ledger.register(
        {
            "name": "nightly",
            "from": "2026-01-01T00:00:00Z",
            "until": "2026-03-02T00:00:00Z",
            "first": "2026-01-01T02:00:00Z",
            "every_seconds": 86400,
            "grace_seconds": 7200,
            "scenarios": ["scenarios/failover/"],
            "controls": {
                "SOC2:A1.2": {"every_seconds": 86400, "ttl_seconds": 3 * 86400},
                "SOC2:A1.3": {"every_seconds": 7 * 86400, "ttl_seconds": 10 * 86400},
                "SOC2:CC7.2": {"every_seconds": 7 * 86400},
            },
        }
    )
    for day in range(60):
        clock.at = START + timedelta(days=day, minutes=23, hours=3 * (day == 14))
        if day in (9, 10):
            continue
        id = f"{clock.at:%Y%m%dT%H%M%SZ}-nightly"
        if day == 20:
            ledger.begin(id, began=clock.at)
            ledger.close(id)
            continue
        exceptions = [{**EXCEPTION, "expired": day > 27}] if 24 <= day <= 28 else []
        recorded(ledger, id, scenarios=night(day), exceptions=exceptions)
    clock.at = START + timedelta(days=60)
    ledger.settle()
