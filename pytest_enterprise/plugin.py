"""The pytest plugin: hooks and fixtures, no logic. What is heavy is imported when a test asks for it."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pytest_enterprise import settings as _settings
from pytest_enterprise.errors import TOLD, ConfigurationError, MachineCannot

if TYPE_CHECKING:
    from pytest_enterprise.faults.session import Faults
    from pytest_enterprise.live import LiveStack
    from pytest_enterprise.load.baselines import Baseline
    from pytest_enterprise.load.comparing import Compare
    from pytest_enterprise.load.generator import Load
    from pytest_enterprise.load.scaling import Scalability
    from pytest_enterprise.objectives import Compared, Objectives
    from pytest_enterprise.session import Session
    from pytest_enterprise.stack import Stack
    from pytest_enterprise.systems.gateway import Gateway
    from pytest_enterprise.systems.monitoring import Monitoring
    from pytest_enterprise.systems.registry import Registry

_SETTINGS = pytest.StashKey[_settings.Settings]()
_SESSION = pytest.StashKey["Session"]()
_SHARED = pytest.StashKey[dict[str, Any]]()
"""What a controller of xdist workers told them of the run that they will make if any of them needs one."""

SUITES = ("unit", "integration", "performance", "security", "compliance", "failover")
_MARKERS = (
    "scenario(claim, sabotage): a test that proves a claim; sabotage maps a switch to the objective it must break",
    "control(*ids, kind): requirements of frameworks that the test supports, such as SOC2:A1.2, and its kind of test",
    "demo: shows the whole of it in a minute; selected by -m demo",
    "nightly: too long for every run; selected by -m nightly",
    "needs_container: runs under the container runtime only",
    *(f"{suite}: belongs to the {suite} suite" for suite in SUITES),
)


def pytest_addhooks(pluginmanager: pytest.PytestPluginManager) -> None:
    from pytest_enterprise import hookspecs

    pluginmanager.add_hookspecs(hookspecs)


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("enterprise", "stacks, faults, load and objectives (pytest-enterprise)")
    for option in _settings.OPTIONS:
        if option.many:
            group.addoption(option.flag, action="append", metavar=option.metavar or "ENGINE=VALUE", help=option.help)
            parser.addini(option.ini, option.help, type="linelist", default=[])
        elif isinstance(option.default, bool):
            group.addoption(option.flag, action="store_const", const=True, default=None, help=option.help)
            parser.addini(option.ini, option.help, default=None)
        else:
            group.addoption(option.flag, default=None, metavar=option.metavar or option.name.upper(), help=option.help)
            parser.addini(option.ini, option.help, default=None)


def pytest_configure(config: pytest.Config) -> None:
    for line in _MARKERS:
        config.addinivalue_line("markers", line)
    try:
        config.stash[_SETTINGS] = _settings.read(
            lambda option: config.getoption(option.flag), lambda option: config.getini(option.ini)
        )
        rule = config.stash[_SETTINGS].benchmark_fail
        if rule:
            config.pluginmanager.register(_Benchmarks(config, rule))
    except ConfigurationError as error:
        raise pytest.UsageError(str(error)) from None


class _Benchmarks:
    """Judges pytest-benchmark's figures by its stored runs; registered only where --enterprise-benchmark-fail asks."""

    def __init__(self, config: pytest.Config, rule: str) -> None:
        from pytest_enterprise import stored_benchmarks

        self._rule = stored_benchmarks.parse_rule(rule, "--enterprise-benchmark-fail")
        self._config = config
        self._results: list[Compared] = []
        if not config.pluginmanager.has_plugin("benchmark"):
            raise ConfigurationError(
                "--enterprise-benchmark-fail judges what pytest-benchmark measures: pip install pytest-benchmark"
            )

    # Before pytest-benchmark's own, which stores this run among those that it is compared with.
    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> Generator[None, None, None]:
        from pytest_enterprise import stored_benchmarks

        own: Any = self._config.pluginmanager.get_plugin("pytest-benchmark")
        current = {
            one.fullname: float(getattr(one.stats, self._rule.field))
            for one in own.benchmarks
            if not one.has_error and one.stats.rounds
        }
        stored = [document for _, document in own.storage.load()]
        machine = own.get_machine_info() if current else {}
        self._results = stored_benchmarks.judge(current, stored, self._rule, machine=machine)
        if _SESSION in self._config.stash:
            for result in self._results:
                event = result.event(result.endpoint, "pytest-benchmark")
                _session(self._config).run.events.emit("comparison.judged", **event)
        if any(result.outcome == "regression" for result in self._results):
            session.exitstatus = session.exitstatus or pytest.ExitCode.TESTS_FAILED
        return (yield)

    @pytest.hookimpl(optionalhook=True)
    def pytest_benchmark_update_json(self, output_json: dict[str, Any]) -> None:
        from pytest_enterprise import stored_benchmarks

        stored_benchmarks.note_regressions(output_json, self._results)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        from pytest_enterprise import stored_benchmarks

        terminalreporter.section("benchmarks against stored runs")
        if not self._results:
            terminalreporter.write_line("no benchmark was measured, so none was judged")
        for line in stored_benchmarks.lines(self._results, self._rule):
            terminalreporter.write_line(line, red=line.startswith("regression"))


def _session(config: pytest.Config) -> Session:
    """The session's own object, made when the first scenario or fixture needs it."""
    if _SESSION not in config.stash:
        from pytest_enterprise.session import Session

        given = getattr(config, "workerinput", {}).get("enterprise") or config.stash.get(_SHARED, {})
        config.stash[_SESSION] = Session(config, config.stash[_SETTINGS], given)
    return config.stash[_SESSION]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    marker = metafunc.definition.get_closest_marker("scenario")
    if marker and metafunc.config.stash[_SETTINGS].sabotage:
        metafunc.fixturenames.append("_enterprise_sabotage")
        metafunc.parametrize("_enterprise_sabotage", list(marker.kwargs.get("sabotage", {})), indirect=True)


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    if file_path.suffix not in (".json", ".yaml", ".yml"):
        return None
    from pytest_enterprise.experiments import items

    if not items.is_experiment(file_path, parent.config.args):
        return None
    return items.ExperimentFile.from_parent(parent, path=file_path)


@pytest.hookimpl(tryfirst=True)  # before others deselect: claims are checked against everything that was collected
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    try:
        if any(item.get_closest_marker("scenario") or item.get_closest_marker("control") for item in items):
            _session(config).collected(items)
    except ConfigurationError as error:
        raise pytest.UsageError(str(error)) from None


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    if _SHARED not in node.config.stash:
        from pytest_enterprise import run

        node.config.stash[_SHARED] = {"id": run.new_id(), "seed": run.draw_seed(node.config.stash[_SETTINGS])}
        node.config.pluginmanager.register(_Controller(node.config))
    node.workerinput["enterprise"] = {**node.config.stash[_SHARED], "worker": node.workerinput["workerid"]}


class _Controller:
    """Joins the run that xdist workers began, if any of them does; registered only where there are workers."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config

    def pytest_runtest_logreport(self) -> None:
        stash = self._config.stash
        if _SESSION not in stash and Path(stash[_SETTINGS].reports, stash[_SHARED]["id"]).exists():
            _session(self._config)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    names: list[str] = getattr(item, "fixturenames", [])
    ours = item.get_closest_marker("scenario") or any(name.startswith("_enterprise_") for name in names)
    if ours or _SESSION in item.config.stash:
        _session(item.config).test_started(item)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    error = call.excinfo.value if call.excinfo else None
    if isinstance(error, MachineCannot) and item.config.stash[_SETTINGS].unable == "skip":
        report.outcome = "skipped"
        report.longrepr = (str(item.path), item.location[1] or 0, f"Skipped: {error}")
    elif isinstance(error, TOLD):
        report.longrepr = f"{type(error).__name__}: {error}"
    if _SESSION in item.config.stash:
        _session(item.config).test_reported(item, call, report)
    return report


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    if _SESSION in session.config.stash and not _session(session.config).finish(int(exitstatus)):
        session.exitstatus = session.exitstatus or pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if _SESSION in terminalreporter.config.stash:
        _session(terminalreporter.config).write_summary(terminalreporter)


@pytest.fixture(scope="session")
def enterprise_stack_spec(request: pytest.FixtureRequest) -> Stack:
    """The stack that tests need; override it in conftest.py, or name a TOML file with --enterprise-stack."""
    return _session(request.config).declared_stack()


@pytest.fixture(scope="session")
def _enterprise_session(request: pytest.FixtureRequest) -> Session:
    return _session(request.config)


@pytest.fixture(scope="session")
def _enterprise_stacks(request: pytest.FixtureRequest) -> Iterator[Session]:
    session = _session(request.config)
    yield session
    session.close_stack()


@pytest.fixture
def _enterprise_live(_enterprise_stacks: Session, enterprise_stack_spec: Stack) -> LiveStack:
    return _enterprise_stacks.live(enterprise_stack_spec)


@pytest.fixture
def _enterprise_sabotage(request: pytest.FixtureRequest, _enterprise_live: LiveStack) -> Iterator[str]:
    session = _session(request.config)
    session.switch(_enterprise_live, request.param, on=True)
    yield request.param
    session.switch(_enterprise_live, request.param, on=False)


@pytest.fixture
def _enterprise_stack(_enterprise_live: LiveStack) -> LiveStack:
    return _enterprise_live.ensure()


@pytest.fixture
def _enterprise_faults(request: pytest.FixtureRequest, _enterprise_live: LiveStack) -> Iterator[Faults]:
    from pytest_enterprise.faults.session import Faults

    faults = Faults(_enterprise_live, request.node.nodeid)
    yield faults
    faults.close(failed=_session(request.config).has_failed(request.node))


@pytest.fixture
def _enterprise_load(request: pytest.FixtureRequest, _enterprise_live: LiveStack) -> Iterator[Load]:
    from pytest_enterprise.session import make_load

    load = make_load(_enterprise_live, request.node.nodeid)
    yield load
    load.close()


@pytest.fixture
def _enterprise_objectives(request: pytest.FixtureRequest) -> Objectives:
    return _session(request.config).objectives(request.node)


@pytest.fixture
def _enterprise_compare(request: pytest.FixtureRequest, _enterprise_objectives: Objectives) -> Compare:
    from pytest_enterprise.load.comparing import Compare

    run = _session(request.config).run
    return Compare(seed=run.seed, test=request.node.nodeid, emit=run.events.emit, objectives=_enterprise_objectives)


@pytest.fixture
def _enterprise_baseline(request: pytest.FixtureRequest, _enterprise_objectives: Objectives) -> Baseline:
    from pytest_enterprise.load.baselines import Baseline

    run = _session(request.config).run
    return Baseline(
        request.config.rootpath / request.config.stash[_SETTINGS].baselines,
        run=run.id,
        test=request.node.nodeid,
        emit=run.events.emit,
        objectives=_enterprise_objectives,
    )


@pytest.fixture
def _enterprise_scalability(request: pytest.FixtureRequest, _enterprise_session: Session) -> Scalability:
    from pytest_enterprise.load.scaling import Scalability

    run = _enterprise_session.run
    return Scalability(seed=run.seed, test=request.node.nodeid, emit=run.events.emit)


@pytest.fixture
def _enterprise_registry(_enterprise_live: LiveStack) -> Registry:
    from pytest_enterprise.session import system

    made: Registry = system("registry", _enterprise_live)
    return made


@pytest.fixture
def _enterprise_gateway(_enterprise_live: LiveStack) -> Gateway:
    from pytest_enterprise.session import system

    made: Gateway = system("gateway", _enterprise_live)
    return made


@pytest.fixture
def _enterprise_monitoring(_enterprise_live: LiveStack) -> Monitoring:
    from pytest_enterprise.session import system

    made: Monitoring = system("monitoring", _enterprise_live)
    return made


@pytest.fixture
def stack(_enterprise_stack: LiveStack) -> LiveStack:
    """The whole stack of ``enterprise_stack_spec``, every engine ready."""
    return _enterprise_stack


@pytest.fixture
def faults(_enterprise_faults: Faults) -> Faults:
    """Faults on the stack; every one is undone when the test ends."""
    return _enterprise_faults


@pytest.fixture
def load(_enterprise_load: Load) -> Load:
    """Locust in a process of its own, every request recorded."""
    return _enterprise_load


@pytest.fixture
def objectives(_enterprise_objectives: Objectives) -> Objectives:
    """Judges what users felt before, during and after the faults."""
    return _enterprise_objectives


@pytest.fixture
def compare(_enterprise_compare: Compare) -> Compare:
    """Compares two versions, configurations or proxies by alternating blocks in this session."""
    return _enterprise_compare


@pytest.fixture
def baseline(_enterprise_baseline: Baseline) -> Baseline:
    """Compares this run with what earlier runs measured, and keeps its figures for later ones."""
    return _enterprise_baseline


@pytest.fixture
def scalability(_enterprise_scalability: Scalability) -> Scalability:
    """Stepped load to the knee, the limit at which objectives hold, and what a request costs."""
    return _enterprise_scalability


@pytest.fixture
def registry(_enterprise_registry: Registry) -> Registry:
    """The service registry (etcd), with the engines that it needs."""
    return _enterprise_registry


@pytest.fixture
def gateway(_enterprise_gateway: Gateway) -> Gateway:
    """The gateway (Envoy), with the services behind it."""
    return _enterprise_gateway


@pytest.fixture
def monitoring(_enterprise_monitoring: Monitoring) -> Monitoring:
    """Monitoring (Prometheus), with what it watches."""
    return _enterprise_monitoring


@pytest.fixture
def toxiproxy(_enterprise_live: LiveStack) -> Any:
    """A toxiproxy-python client on the stack's fault proxy."""
    return _enterprise_live.ensure().proxy.client()
