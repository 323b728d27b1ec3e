"""Experiment files as pytest's files and items."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pytest_enterprise.errors import ConfigurationError
from pytest_enterprise.experiments import execution

if TYPE_CHECKING:
    from pytest_enterprise.experiments.handle import Handle
    from pytest_enterprise.session import Session

FOLDER = "experiments"
"""Below a folder of this name every JSON or YAML file is one; elsewhere only those named on the command line."""


def is_experiment(path: Path, arguments: list[str]) -> bool:
    """Whether a file of a fitting name is to be collected."""
    return FOLDER in path.parent.parts or any(
        Path(argument.partition("::")[0]).resolve() == path for argument in arguments
    )


class ExperimentFile(pytest.File):
    """A file that holds one experiment."""

    def collect(self) -> Iterator[pytest.Item]:
        try:
            experiment = execution.read(self.path)
        except ConfigurationError as error:
            raise self.CollectError(str(error)) from None
        yield ExperimentItem.from_parent(self, name="experiment", experiment=experiment)


class ExperimentItem(pytest.Item):
    """One experiment: its steady state is its objective."""

    def __init__(self, *, experiment: execution.Experiment, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.experiment = experiment
        extension = experiment.extension
        if "claim" in extension:
            self.add_marker(pytest.mark.scenario(claim=extension["claim"]))
        if controls := extension.get("controls"):
            self.add_marker(pytest.mark.control(*controls))
        # As doctests do: pytest has no public way for items of one's own to ask for fixtures.
        manager: Any = self.session._fixturemanager  # noqa: SLF001
        self._fixtureinfo = manager.getfixtureinfo(node=self, func=None, cls=None)
        self.fixturenames: list[str] = self._fixtureinfo.names_closure
        self._initrequest()

    def _initrequest(self) -> None:
        """Called by pytest before each run."""
        from _pytest.fixtures import TopRequest

        self.funcargs: dict[str, Any] = {}
        self._request: Any = TopRequest(self, _ispytest=True)  # type: ignore[arg-type]

    def setup(self) -> None:
        """Set up the fixtures that every test has."""
        self._request._fillfixtures()  # noqa: SLF001

    def _has_stack(self, session: Session) -> bool:
        manager: Any = self.session._fixturemanager  # noqa: SLF001
        return bool(session.settings.stack) or len(manager.getfixturedefs("enterprise_stack_spec", self) or ()) > 1

    def runtest(self) -> None:
        session: Session = self._request.getfixturevalue("_enterprise_session")
        handle = self._handle() if self._has_stack(session) else None
        judge = session.objectives(self)
        failed: execution.Failed | None = None
        try:
            execution.execute(self.experiment, handle, self._emit(session), _journal(session.run.directory, self.path))
        except execution.Failed as error:
            failed = error
        from pytest_enterprise.objectives import Fact

        met = Fact("steady-state", 0 if failed else 1, 1, ">=", "", detail=str(failed or self.experiment.title))
        try:
            judge.check(met)
        except AssertionError:
            if failed is None:
                raise
        if failed:
            raise failed

    def _handle(self) -> Handle:
        from pytest_enterprise.experiments.handle import Handle

        stack = self._request.getfixturevalue("stack")
        patch = pytest.MonkeyPatch()
        self.addfinalizer(patch.undo)
        for engine in stack.spec.engines:
            name = engine.name.upper().replace("-", "_").replace(".", "_")
            patch.setenv(f"ENTERPRISE_URL_{name}", stack.url(engine.name))
        get = self._request.getfixturevalue
        return Handle(lambda: get("faults"), lambda: get("load"))

    def _emit(self, session: Session) -> Callable[..., Any]:
        return lambda kind, **fields: session.run.events.emit(kind, test=self.nodeid, **fields)

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:  # noqa: ARG002
        """The experiment's own words, without a traceback."""
        if isinstance(excinfo.value, execution.Failed):
            return str(excinfo.value)
        return super().repr_failure(excinfo)

    def reportinfo(self) -> tuple[Path, int, str]:
        return self.path, 0, self.experiment.title


def _journal(directory: Path, path: Path) -> Path:
    folder = directory / "experiments"
    folder.mkdir(exist_ok=True)
    return folder / f"{path.stem}.journal.json"
