"""What the plugin does in one pytest session: the run, its stack, and the record of every scenario."""

from __future__ import annotations

import contextlib
import shlex
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from pytest_enterprise import claims as claims_file
from pytest_enterprise.errors import ConfigurationError, EnterpriseError, cannot_write
from pytest_enterprise.live import LiveStack, names_of
from pytest_enterprise.run import Run

if TYPE_CHECKING:
    import pytest

    from pytest_enterprise.events import Event
    from pytest_enterprise.evidence.signing import Signing
    from pytest_enterprise.load.generator import Load
    from pytest_enterprise.objectives import Objectives
    from pytest_enterprise.settings import Settings
    from pytest_enterprise.stack import Stack

_SYSTEMS = {
    "registry": ("etcd", "pytest_enterprise.systems.registry", "Registry"),
    "gateway": ("envoy", "pytest_enterprise.systems.gateway", "Gateway"),
    "monitoring": ("prometheus", "pytest_enterprise.systems.monitoring", "Monitoring"),
}
_SUITES = ("unit", "integration", "performance", "security", "compliance", "failover")
SABOTAGE_FIXTURE = "_enterprise_sabotage"
_SETTLE = 0.5
"""Seconds that services get to follow a switch: a watch takes milliseconds, Envoy's re-read of a file some more."""


class Session:
    """One per pytest process; under xdist the controller's writes the report, the workers' only events."""

    def __init__(self, config: pytest.Config, settings: Settings, given: Mapping[str, Any]) -> None:
        """``given`` is what the controller of workers decided: ``id``, ``seed``, and for a worker its name."""
        self._config = config
        worker = given.get("worker", "")
        self.is_worker = bool(worker)
        self.run = Run(settings, id=given.get("id"), seed=given.get("seed"), worker=worker)
        self.settings = settings
        self.claims = claims_file.load(config.rootpath / settings.claims)
        self._live: LiveStack | None = None
        self._objectives: dict[str, Objectives] = {}
        self._failed: dict[str, str] = {}
        self._started: dict[str, float] = {}
        self._told: dict[str, list[Event]] = {}
        self._full = ""
        """Why the run directory takes no more; then the session ends."""
        self.run.events.subscribe(lambda event: config.hook.pytest_enterprise_event(event=event))
        self.run.events.subscribe(self._note)
        self._strengths: dict[str, dict[str, tuple[str, str]]] = {}
        """For each test with controls: the kind of test and the strength of each."""
        self._expired: list[str] = []
        self._signing: Signing | None = None
        self._signed: list[str] = []
        """What was signed, for the summary."""
        if not self.is_worker:
            if settings.ledger and not config.getoption("collectonly"):
                from pytest_enterprise.evidence.signing import Signing

                self._signing = Signing(settings, self.run)
            from pytest_enterprise.evidence import capture, exceptions

            self.run.write(claims=[claim.as_dict() for claim in self.claims], rootdir=str(config.rootpath))
            self._expired = [
                f"the exception for {exceptions.name(one)} expired on {one['expires']} (owner: {one['owner']}): "
                f"settle or renew it in {settings.exceptions}"
                for one in capture.begin(self.run, config.rootpath)
            ]
            self.run.events.emit(
                "run.started", run=self.run.id, seed=self.run.seed, command=config.invocation_params.args
            )
            if config.get_verbosity() > 0:
                self._narrate()

    def _note(self, event: Event) -> None:
        """Keep what concerns a test until it has ended."""
        if event.get("test") in self._started:
            self._told.setdefault(event["test"], []).append(event)

    def _narrate(self) -> None:
        """Tell on the terminal what happens while it happens."""
        from pytest_enterprise.report.terminal import narrate

        reporter: Any = self._config.pluginmanager.get_plugin("terminalreporter")
        capture: Any = self._config.pluginmanager.get_plugin("capturemanager")
        one_at_a_time = threading.Lock()

        def tell(event: dict[str, Any]) -> None:
            line = narrate(event)
            if line:
                with one_at_a_time, capture.global_and_fixture_disabled() if capture else contextlib.nullcontext():
                    reporter.ensure_newline()
                    reporter.write_line(f"  {line}", cyan=True)

        if reporter:
            self.run.events.subscribe(tell)

    # Collection

    def collected(self, items: list[pytest.Item]) -> None:
        """Check every scenario's claim, sabotage and controls, and with --enterprise-sabotage keep only scenarios."""
        self._check_controls(items)
        scenarios: list[pytest.Item] = []
        named: dict[str, str | None] = {}
        for item in items:
            marker = item.get_closest_marker("scenario")
            named[item.nodeid] = marker.kwargs.get("claim") if marker else None
            if marker is None:
                continue
            scenarios.append(item)
            unknown = set(marker.kwargs) - {"claim", "sabotage"}
            if marker.args or unknown:
                raise ConfigurationError(
                    f"{item.nodeid}: scenario takes claim=... and sabotage={{switch: objective}}, by keyword; got "
                    f"{', '.join([*map(repr, marker.args), *sorted(unknown)])}"
                )
            claims_file.check(self.claims, item.nodeid, marker.kwargs.get("claim"), marker.kwargs.get("sabotage"))
        parts = {argument.partition("::")[0] for argument in self._config.args if "::" in argument}
        whole = {file for file in (name.partition("::")[0] for name in named) if file not in parts}
        claims_file.check_listed(self.claims, named, whole, self._config.rootpath)
        if self.settings.sabotage:
            kept = [item for item in scenarios if getattr(item, "callspec", None)]
            gone = [item for item in items if item not in kept]
            for item in kept:
                # Parametrizing alone would not set it up: pytest drops names that no test function asks for.
                names: list[str] = getattr(item, "fixturenames", [])
                if SABOTAGE_FIXTURE not in names:
                    names.insert(0, SABOTAGE_FIXTURE)
            items[:] = kept
            self._config.hook.pytest_deselected(items=gone)

    def _check_controls(self, items: list[pytest.Item]) -> None:
        """Check every identifier of a ``control`` marker; frameworks are read only where there is one."""
        marked = [(item, marks) for item in items if (marks := list(item.iter_markers("control")))]
        if not marked:
            return
        from pytest_enterprise.evidence.frameworks import Frameworks

        frameworks = Frameworks([self._config.rootpath / name for name in self.settings.frameworks])
        for item, marks in marked:
            found = self._strengths.setdefault(item.nodeid, {})
            for mark in reversed(marks):  # the nearest decides
                if set(mark.kwargs) - {"kind"} or not mark.args:
                    raise ConfigurationError(
                        f'{item.nodeid}: control takes identifiers and kind="...", '
                        'such as control("SOC2:A1.2", kind="failover")'
                    )
                kind, suite = mark.kwargs.get("kind"), self._suite_of(item)
                for id in mark.args:
                    found[id] = frameworks.check(id, kind=kind, suite=suite, where=item.nodeid)
        for claim in self.claims:
            for id in claim.controls:
                frameworks.check(id, kind=None, suite=None, where=f"{self.settings.claims}: claim {claim.id!r}")

    @staticmethod
    def _suite_of(item: pytest.Item) -> str | None:
        return next((suite for suite in _SUITES if item.get_closest_marker(suite)), None)

    # The stack

    def declared_stack(self) -> Stack:
        """The stack of ``--enterprise-stack``."""
        if not self.settings.stack:
            raise ConfigurationError(
                "no stack is declared. Write a fixture enterprise_stack_spec in conftest.py that returns "
                "Stack(engines=[...], links=[...]), or name a TOML file with --enterprise-stack"
            )
        from pytest_enterprise.stack_file import load

        return load(self._config.rootpath / self.settings.stack)

    def live(self, spec: Stack) -> LiveStack:
        """The running stack of this specification; one of another specification is ended first."""
        if self._live and self._live.spec != spec:
            self.close_stack()
        if self._live is None:
            self._live = LiveStack(self.run, spec)
            self._live.portal.call(self._live.running.open())
        return self._live

    def close_stack(self) -> None:
        """End the running stack, if there is one."""
        live, self._live = self._live, None
        if live:
            live.close()

    def switch(self, live: LiveStack, name: str, *, on: bool) -> None:
        """Turn a sabotage switch on or off, and give the services time to follow."""
        if self._config.hook.pytest_enterprise_switch(stack=live, switch=name, on=on):
            return
        if not names_of(["etcd"], live.spec):
            raise ConfigurationError(
                f"sabotage switch {name!r}: the stack has no registry to put it in; implement the hook "
                "pytest_enterprise_switch in conftest.py"
            )
        live.ensure()
        system("registry", live).switch(name, on)
        time.sleep(_SETTLE)

    # Tests

    def test_started(self, item: pytest.Item) -> None:
        scenario = item.get_closest_marker("scenario")
        self._started[item.nodeid] = time.monotonic()
        self.run.events.emit(
            "test.started",
            test=item.nodeid,
            line=None if item.location[1] is None else item.location[1] + 1,
            suite=self._suite_of(item),
            scenario=scenario is not None,
            claim=scenario.kwargs.get("claim") if scenario else None,
            controls=list(self._strengths.get(item.nodeid, ())),
            strengths=self._strengths.get(item.nodeid, {}),
            sabotage=self._switch_of(item),
            title=(getattr(getattr(item, "obj", None), "__doc__", None) or "").strip().partition("\n")[0],
        )

    def _switch_of(self, item: pytest.Item) -> str | None:
        callspec = getattr(item, "callspec", None)
        return callspec.params.get(SABOTAGE_FIXTURE) if callspec else None

    def objectives(self, item: pytest.Item) -> Objectives:
        """The judge of one test, made on first use."""
        if item.nodeid not in self._objectives:
            from pytest_enterprise.objectives import Objectives

            self._objectives[item.nodeid] = Objectives(
                emit=self.run.events.emit,
                test=item.nodeid,
                seed=self.run.seed,
                root=item.config.rootpath,
                again=self._again(item.nodeid),
            )
        return self._objectives[item.nodeid]

    def _again(self, test: str) -> str:
        """The command that runs one test again as it ran here."""
        given = self.settings
        options = [f"--enterprise-seed={self.run.seed}"]
        options += [f"--enterprise-runtime={given.runtime}"] if given.runtime != "auto" else []
        options += [
            flag
            for flag, on in (("--enterprise-direct", given.direct), ("--enterprise-sabotage", given.sabotage))
            if on
        ]
        options += [f"--enterprise-url={engine}={url}" for engine, url in given.url.items()]
        return shlex.join(["pytest", test, *options])

    def test_reported(self, item: pytest.Item, call: pytest.CallInfo[None], report: pytest.TestReport) -> None:
        """Correct what pytest reports of a phase of a test, and record the outcome after the last phase."""
        if report.when == "call" and item.get_closest_marker("scenario"):
            self._judge_scenario(item, call, report)
        if self.run.events.failure and not self._full:
            self._full = str(cannot_write(self.run.directory, self.run.events.failure))
            item.session.shouldfail = self._full
            report.outcome = "failed"
            report.longrepr = f"{report.longreprtext}\n{self._full}".strip()
        if report.failed or report.skipped:
            kind = report.outcome if report.when == "call" or report.skipped else "error"
            self._failed.setdefault(item.nodeid, f"{kind}\n{_message(call, report)}")
        if report.when == "teardown":
            outcome, _, message = self._failed.pop(item.nodeid, "passed\n").partition("\n")
            began = self._started.get(item.nodeid, time.monotonic())
            self.run.events.emit(
                "test.finished",
                test=item.nodeid,
                outcome=outcome,
                seconds=round(time.monotonic() - began, 3),
                message=message,
            )
            self._started.pop(item.nodeid, None)
            self._objectives.pop(item.nodeid, None)
            self._publish(item, report)

    def _publish(self, item: pytest.Item, report: pytest.TestReport) -> None:
        """Give other reporters what this test showed: JUnit's properties, Allure's labels and attachments."""
        from pytest_enterprise.report import allure, junit

        told = self._told.pop(item.nodeid, [])
        found = junit.properties(told)
        item.user_properties += found
        known = report.user_properties
        report.user_properties = [*known, *(pair for pair in found if pair not in known)]
        allure.attach(told, self.run.directory)

    def has_failed(self, item: pytest.Item) -> bool:
        """Whether a test has failed so far."""
        return item.nodeid in self._failed

    def _judge_scenario(self, item: pytest.Item, call: pytest.CallInfo[None], report: pytest.TestReport) -> None:
        """A scenario that judged nothing proves nothing; a sabotaged one must break its named objective."""
        if report.skipped:
            return
        judge = self._objectives.get(item.nodeid)
        verdicts: Sequence[Any] = judge.verdicts if judge else ()
        switch = self._switch_of(item)
        marker = item.get_closest_marker("scenario")
        if switch and marker:
            from pytest_enterprise.sabotage import verdict_of_sabotage

            told = verdict_of_sabotage(
                switch=switch,
                objective=marker.kwargs["sabotage"][switch],
                verdicts=verdicts,
                failed=report.failed,
                message=_message(call, report),
            )
            self.run.events.emit(
                "scenario.sabotaged",
                test=item.nodeid,
                switch=switch,
                objective=marker.kwargs["sabotage"][switch],
                outcome=told.outcome,
                detail=told.detail,
            )
            report.outcome = "passed" if told.outcome == "caught" else "failed"
            report.longrepr = None if told.outcome == "caught" else told.detail
        elif report.passed and not verdicts:
            report.outcome = "failed"
            report.longrepr = f"{item.nodeid} judged no objective, so it proves nothing: call objectives.check(...)"

    # The end

    def finish(self, exit_status: int) -> bool:
        """Write the outcome and the report; workers only close their event file. False when there was no room."""
        if self.is_worker:
            self.run.events.close()
            return True
        self.close_stack()
        for line in self._expired:
            self.run.events.emit("exception.expired", detail=line)
        exit_status = exit_status or int(bool(self._expired))
        self.run.events.emit("run.finished", exit_status=exit_status)
        try:
            self.run.finish(exit_status=exit_status)
        except ConfigurationError as error:
            self._full = str(error)
            return False
        from pytest_enterprise.evidence import capture, documents
        from pytest_enterprise.report import write_all

        write_all(self.run.directory)
        try:
            capture.end(self.run)
            documents.write(self.run.directory)
            if self._signing:
                self._signed = self._signing.finish(self.run.directory)
        except OSError as error:
            self._full = str(cannot_write(self.run.directory, error))
            return False
        except ConfigurationError as error:
            self._full = str(error)
            return False
        return not self._expired

    def write_summary(self, reporter: pytest.TerminalReporter) -> None:
        """The verdict table and the path of the report."""
        from pytest_enterprise.report import github
        from pytest_enterprise.report.model import load_run
        from pytest_enterprise.report.terminal import summary_lines

        if self.is_worker:
            return
        report = load_run(self.run.directory, records=False)
        reporter.section("enterprise")
        if self._full:
            reporter.write_line(self._full, red=True)
        for line in self._expired:
            reporter.write_line(line, red=True)
        for line in (*summary_lines(report), *self._signed):
            reporter.write_line(line)
        github.publish(report, reporter.write_line)


def _message(call: pytest.CallInfo[None], report: pytest.TestReport) -> str:
    if call.excinfo is None:
        return str(report.longrepr or "")
    error = call.excinfo.value
    return str(error) if isinstance(error, (EnterpriseError, AssertionError)) else f"{type(error).__name__}: {error}"


def system(name: str, live: LiveStack) -> Any:
    """The synchronous face of an enterprise system, with its engine and what that needs started."""
    from importlib import import_module

    kind, module, attribute = _SYSTEMS[name]
    engines = names_of([kind], live.spec)
    if not engines:
        raise ConfigurationError(f"the fixture {name!r} needs an engine of kind {kind!r}, and the stack has none")
    live.ensure(engines[0])
    return getattr(import_module(module), attribute)(live, engines[0])


def make_load(live: LiveStack, test: str) -> Load:
    """The load generator of one test, aimed at what the stack's ``load`` links reach."""
    from pytest_enterprise.load.generator import Load
    from pytest_enterprise.stack import LOAD

    targets = [link.server for link in live.spec.links if link.client == LOAD]
    if targets:
        live.ensure(*targets)
    links = {str(live.address(target)): f"{LOAD} -> {target}" for target in targets}

    def link_of(host: str) -> str | None:
        return links.get(urlsplit(host).netloc.rpartition("@")[2])  # whatever protocol is spoken over it

    return Load(
        live.run,
        test,
        default_host=live.url(targets[0]) if targets else None,
        root=Path.cwd(),
        link_of=link_of,
        engines_cpu=live.cpu_seconds,
    )
