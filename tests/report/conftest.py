"""Builds run directories as a session leaves them, with tens of thousands of recorded requests."""

import json
import random

import pytest

from pytest_enterprise.load.records import RecordWriter

S = 1_000_000_000
CLAIMS = [
    {
        "id": "replica-failover",
        "text": "When one of three replicas dies, at least 99.5 % of the requests succeed.",
        "source": "Service description: availability",
        "controls": ["SOC2:A1.2", "ISO27001:A.8.14"],
        "scenarios": ["scenarios/failover/test_replicas.py::test_kill_one_of_three"],
    },
    {
        "id": "database-cut",
        "text": "While the database cannot be reached, users are refused honestly within 1 s.",
        "controls": ["SOC2:A1.2"],
        "scenarios": ["scenarios/failover/test_database.py::test_database_cut_for_3_s"],
    },
    {
        "id": "slow-database",
        "text": "When the database answers 300 ms late, no request fails and 99 % are answered within 1.5 s.",
        "controls": ["SOC2:A1.1"],
        "scenarios": ["scenarios/performance/test_slow_database.py::test_300_ms_on_the_database_link"],
    },
    {
        "id": "registry-failover",
        "text": "When the registry's leader dies, no request fails.",
        "scenarios": ["scenarios/failover/test_registry.py::test_kill_the_etcd_leader"],
    },
    {"id": "point-in-time-recovery", "text": "The database can be restored to any moment of the last seven days."},
]


class Builder:
    """Writes a run directory event by event, on a clock of its own."""

    def __init__(self, directory, seed=4_021_338_117):
        self.directory = directory
        self.random = random.Random(seed)
        self.now = 1_000 * S
        self.events = []
        self.test = None
        self.numbers = {}
        directory.mkdir(parents=True)
        self.document = {
            "format": 1,
            "run": directory.name,
            "seed": seed,
            "command": ["/work/.venv/bin/pytest", "scenarios", "-m", "demo"],
            "commit": "3350ff62d0c2b8a1f4e7c6d5b4a392817f6e5d4c",
            "clean": False,
            "version": "0.1.0",
            "python": "3.11.7",
            "platform": "Linux-6.1.0-x86_64-with-glibc2.36",
            "cpus": 2,
            "settings": {"runtime": "process", "direct": False, "sabotage": False, "seed": None, "images": {}},
            "started": "2026-11-24T02:20:17Z",
            "claims": CLAIMS,
        }
        self.emit("run.started", run=directory.name, seed=seed, command=["scenarios"])

    def emit(self, kind, **fields):
        self.now += 1_000_000
        at = f"2026-11-24T02:{20 + self.now // S % 2400 // 60:02}:{self.now // S % 60:02}.000+00:00"
        self.events.append({"t": self.now, "at": at, "kind": kind, "pid": 4711, **fields})

    def stack(self):
        told = [("proxy", "proxy", "0.1.0", 0.11, 3.412), ("postgres", "postgres", "18.6", 0.553, 9.84)]
        told += [(f"etcd-{i}", "etcd", "3.4.23", 0.21 + i / 50, 2.2) for i in (1, 2, 3)]
        told += [(f"agent-service-{i}", "service", "unknown", 0.71 + i / 50, 14.03) for i in (1, 2, 3)]
        told += [("gateway", "envoy", "1.40.0", 0.092, 6.6)]
        for name, kind, version, seconds, _ in told:
            self.emit("engine.starting", engine=name, kind_of_engine=kind, runtime="process", command=name)
            self.emit(
                "engine.ready", engine=name, kind_of_engine=kind, runtime="process", version=version, seconds=seconds,
                urls={"main": "127.0.0.1:40000"},
            )  # fmt: skip
        for number, (client, server) in enumerate(
            [("load", "gateway"), *((f"agent-service-{i}", "postgres") for i in (1, 2, 3))]
        ):
            self.emit(
                "link.opened", link=f"{client} -> {server}", listen=f"127.0.0.1:{41000 + number}", upstream=server
            )
        return told

    def stop(self, told):
        for name, *_, cpu in told:
            self.emit("engine.stopped", engine=name, cpu_seconds=cpu)

    def begin(self, test, *, claim=None, title="", suite="failover", controls=("SOC2:A1.2",), sabotage=None):
        self.test = test
        self.emit(
            "test.started", test=test, suite=suite, scenario=claim is not None, claim=claim, controls=list(controls),
            sabotage=sabotage, title=title,
        )  # fmt: skip

    def end(self, outcome="passed", message="", seconds=9.81):
        self.emit("test.finished", test=self.test, outcome=outcome, seconds=seconds, message=message)

    def load(self, seconds=9.0, rate=220, *, faults=(), behave=None, name="agent_service", users=30, finish=True):
        """A load and its faults, ``(kind, target, began, ended, evidence)`` in seconds of the load.

        ``behave(at)`` gives latency and error of a request sent then.
        """
        number = self.numbers["load"] = self.numbers.get("load", 0) + 1
        load = f"{name}-{number}"
        start = self.now
        self.emit(
            "load.started", load=load, test=self.test, locustfile="loadtests/agent_service.py", users=users,
            host="http://127.0.0.1:41000", link="load -> gateway", file=f"load/{load}", closed_loop=True,
        )  # fmt: skip
        writer = RecordWriter(self.directory / "load" / load)
        failures, at = 0, 0.0
        while at < seconds:
            latency, error = (behave or self.usual)(at)
            if latency is not None:
                failures += bool(error)
                endpoint = self.random.choices(("POST /tasks", "GET /tasks/{id}"), (2, 1))[0]
                writer.add(start + round(at * S), latency, endpoint, error, 412)
            at += self.random.expovariate(rate)
        writer.close()
        for kind, target, began, ended, evidence in faults:
            fault = f"{kind}-{len([e for e in self.events if e['kind'] == 'fault.began']) + 1}"
            self.now = start + round(began * S)
            settings = {"delay": 0.3, "jitter": 0.0} if kind == "latency" else {}
            self.emit(
                "fault.began", fault=fault, test=self.test, fault_kind=kind, target=target, targets=[target],
                settings=settings, began=start + round(began * S),
            )  # fmt: skip
            if ended is not None:
                self.now = start + round(ended * S)
                self.emit(
                    "fault.ended", fault=fault, test=self.test, proof="acted", acted=bool(evidence), evidence=evidence,
                    ended=start + round(ended * S),
                )  # fmt: skip
        for second in range(int(seconds) + 1):
            self.now = start + second * S
            engines = {"postgres": 3 + 0.31 * second, "gateway": 1 + 0.12 * second, "etcd-1": 2 + 0.04 * second}
            self.emit("load.sampled", load=load, test=self.test, generator=0.4 + 0.22 * second, engines=engines)
        self.now = start + round((seconds + 0.2) * S)
        if finish:
            self.emit(
                "load.finished", load=load, test=self.test, requests=writer.count, failures=failures, seconds=seconds,
                reason="stop", cpu_seconds=1.93, user_errors={},
            )  # fmt: skip
        return start

    def began(self, kind):
        return next(e["began"] for e in reversed(self.events) if e["kind"] == "fault.began" and e["fault_kind"] == kind)

    def usual(self, _):
        return self.random.lognormvariate(-4.6, 0.45), ""

    def judged(self, objective, value, limit, comparison, unit, outcome="held", **fields):
        self.emit(
            "objective.judged", test=self.test, objective=objective, value=value, limit=limit, comparison=comparison,
            unit=unit, outcome=outcome,
            **{"phase": "whole", "fault": None, "samples": 880, "detail": "", "interval": None, "worst": [], **fields},
        )  # fmt: skip

    def write(self, *, finished=True, exit_status=1):
        if finished:
            self.emit("run.finished", exit_status=exit_status)
            self.document |= {"finished": "2026-11-24T02:21:40Z", "exit_status": exit_status}
        (self.directory / "run.json").write_text(json.dumps(self.document, indent=2))
        lines = "".join(json.dumps(event) + "\n" for event in sorted(self.events, key=lambda event: event["t"]))
        if finished:
            (self.directory / "events.jsonl").write_text(lines)
        else:
            (self.directory / "events").mkdir()
            (self.directory / "events" / "4711.jsonl").write_text(lines)
        return self.directory


def kill_one(build, *, sabotage=None, test="scenarios/failover/test_replicas.py::test_kill_one_of_three"):
    """A replica dies and users hardly notice, or with a sabotage do."""

    def behave(at):
        felt = 2 <= at < (6 if sabotage else 2.4)
        if felt and build.random.random() < 0.33:
            return (1.0, "HTTP 503") if sabotage or build.random.random() < 0.02 else (0.51, "")
        return build.usual(at)

    build.begin(
        test, claim="replica-failover", title="One of three replicas is killed under load: users hardly notice.",
        sabotage=sabotage,
    )  # fmt: skip
    build.load(faults=[("kill", "agent-service-1", 2, 6, {"pid": 4812, "gone_after_ms": 3, "ready_after_s": 0.81})],
               behave=behave)  # fmt: skip
    fault = next(e["fault"] for e in reversed(build.events) if e["kind"] == "fault.began")
    share, outcome = (0.671, "broken") if sabotage else (0.9977, "held")
    build.judged("availability-during", share, 0.995, ">=", "share", outcome, phase="during", fault=fault,
                 interval=[share - 0.004, min(1, share + 0.002)], detail="2 × HTTP 503")  # fmt: skip
    if sabotage:
        build.emit("scenario.sabotaged", test=test, switch=sabotage, objective="availability-during", outcome="caught",
                   detail=f"{sabotage} broke availability-during: 290 × HTTP 503")  # fmt: skip
        return build.end()
    build.judged("recovery", 0.412, 3.0, "<=", "s", phase="during", fault=fault, detail="resolution 0.004 s",
                 moment=build.began("kill") + round(0.412 * S))  # fmt: skip
    build.judged("lost", 0, 0, "<=", "tasks", detail="of 1,320 looked at")
    build.judged("doubled", 0, 0, "<=", "keys", detail="of 1,320 looked at")
    return build.end()


def cut_database(build, outcome="broken"):
    """The database is cut off: refusals, then a recovery that takes too long."""

    def behave(at):
        if 2 <= at < 5 or (outcome == "broken" and at < 7.6 and build.random.random() < (7.6 - at) / 2.6 and at > 5):
            return build.random.uniform(0.05, 0.4), "HTTP 503"
        return build.usual(at)

    build.begin(
        "scenarios/failover/test_database.py::test_database_cut_for_3_s", claim="database-cut",
        title="The database is cut off for 3 s: users are refused quickly and served again soon.",
    )  # fmt: skip
    start = build.load(
        faults=[("cut", "agent-service -> postgres", 2, 5, {"connections_reset": 24, "connections_refused": 1312})],
        behave=behave,
    )
    fault = next(e["fault"] for e in reversed(build.events) if e["kind"] == "fault.began")
    build.judged("refusals", 0.398, 1.0, "<=", "s", phase="during", fault=fault, detail="660 × HTTP 503")
    worst = [
        {"start": start + round(at * S), "latency": 0.31, "name": "POST /tasks", "error": "HTTP 503", "size": 70}
        for at in (7.31, 7.42, 7.577)
    ]
    build.judged("recovery", 2.58, 2.0, "<=", "s", outcome, phase="during", fault=fault, worst=worst, samples=1201,
                 moment=start + round(7.58 * S), detail="counted from the end of the fault")  # fmt: skip
    build.judged("latency-p99-after", None, 0.5, "<=", "s", "not judged", phase="after", fault=fault, samples=31,
                 detail="31 requests, 100 needed to judge this limit")  # fmt: skip
    build.end("failed", "1 of 3 objectives did not hold: recovery\n\nrecovery: broken: 2.580 s, limit at most 2.000 s\n"
              "  after cut on agent-service -> postgres\nagain: pytest ... --enterprise-seed=4021338117")  # fmt: skip


def slow_database(build):
    """Two faults, one after the other, on a logarithmic scale."""

    def behave(at):
        if 2 <= at < 6:
            return 0.3 + build.random.lognormvariate(-3, 0.6), ""
        return (None, "") if 6.5 <= at < 7.4 else (build.random.lognormvariate(-5.5, 0.5), "")

    build.begin(
        "scenarios/performance/test_slow_database.py::test_300_ms_on_the_database_link", claim="slow-database",
        title="With 300 ms on the database link no request fails.", suite="performance",
    )  # fmt: skip
    build.load(
        faults=[
            ("latency", "agent-service -> postgres", 2, 6, {"bytes": 481_223, "delayed_ms": 261_300.5, "chunks": 871}),
            ("pause", "gateway", 6.5, 7.4, {"state": "stopped"}),
        ],
        behave=behave, seconds=10, users=20,
    )  # fmt: skip
    fault = next(e["fault"] for e in build.events[::-1] if e["kind"] == "fault.began" and e["fault_kind"] == "latency")
    build.judged("availability-during", 1.0, 1.0, ">=", "share", phase="during", fault=fault)
    build.judged("latency-p99-during", 0.702, 1.5, "<=", "s", phase="during", fault=fault, interval=[0.66, 0.74])
    build.end()


@pytest.fixture
def builder(tmp_path):
    return lambda name="20261124T022017Z-a1b2c3": Builder(tmp_path / "reports" / name)


@pytest.fixture
def killing():
    """Adds a scenario that held to a builder's run."""
    return kill_one


@pytest.fixture
def demo(builder):
    """A run with held, broken and unjudged objectives, a skipped scenario and an ordinary test."""
    return demo_run(builder())


def demo_run(build):
    told = build.stack()
    kill_one(build)
    cut_database(build)
    slow_database(build)
    build.begin("scenarios/failover/test_registry.py::test_kill_the_etcd_leader", claim="registry-failover")
    build.end("skipped", "etcd is not installed; run pytest-enterprise doctor", 0.01)
    build.begin("tests/test_plain.py::test_arithmetic", suite=None, controls=())
    build.end("passed", "", 0.004)
    build.stop(told)
    return build.write()


@pytest.fixture(scope="session")
def hundreds(tmp_path_factory):
    """201 scenarios, each with 2,000 requests, its faults and CPU samples; to be read only."""
    return hundreds_run(Builder(tmp_path_factory.mktemp("hundreds") / "20261124T022017Z-a1b2c3"))


def hundreds_run(build):
    told = build.stack()
    for number in range(67):
        kill_one(build, test=f"scenarios/failover/test_replicas.py::test_kill_one_of_three[{number}]")
        cut_database(build)
        slow_database(build)
    build.stop(told)
    return build.write()


@pytest.fixture
def sabotaged(builder):
    """A run with --enterprise-sabotage: one switch caught, one survived."""
    build = builder()
    build.document["settings"]["sabotage"] = True
    told = build.stack()
    name = "scenarios/failover/test_replicas.py::test_kill_one_of_three"
    kill_one(build, sabotage="retries_off", test=f"{name}[retries_off]")
    build.begin(f"{name}[idempotency_off]", claim="replica-failover", sabotage="idempotency_off")
    build.load(2)
    build.judged("doubled", 0, 0, "<=", "keys")
    build.emit("scenario.sabotaged", test=build.test, switch="idempotency_off", objective="doubled", outcome="survived",
               detail="the scenario passed with idempotency_off on; doubled was judged held")  # fmt: skip
    build.end("failed", "the scenario passed with idempotency_off on")
    build.stop(told)
    return build.write()
