"""One run of an experiment by Chaos Toolkit's own library, its events joined to the run's."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from pytest_enterprise.errors import ConfigurationError, nearest
from pytest_enterprise.experiments import HANDLE

if TYPE_CHECKING:
    from pytest_enterprise.experiments.handle import Handle

EXTENSION = "pytest-enterprise"
"""The experiment's extension that we read: ``claim``, ``controls``, ``sabotage``, and the two strategies."""
_KNOWN = ("name", "claim", "controls", "sabotage", "hypothesis-strategy", "rollback-strategy")
_ROLLBACKS = ("default", "always", "never", "deviated")
_HYPOTHESES = ("default", "before-method-only", "after-method-only", "during-method-only", "continuously", "skip")


class Failed(Exception):
    """The experiment did not come to the end that its author expects."""


class Experiment(NamedTuple):
    """An experiment that is valid, as its file has it."""

    path: Path
    document: dict[str, Any]
    extension: Mapping[str, Any]

    @property
    def title(self) -> str:
        return str(self.document["title"])


def read(path: Path) -> Experiment:
    """Read an experiment; :func:`execute` checks the rest. Raises ConfigurationError."""
    try:
        from chaoslib.exceptions import ChaosException
        from chaoslib.loader import load_experiment
    except ImportError as error:
        raise ConfigurationError(
            f"{path.name}: {error}. Experiments need Chaos Toolkit's library: "
            "pip install 'pytest-enterprise[experiments]'"
        ) from None
    try:
        document = load_experiment(str(path))
        if not isinstance(document, dict):
            raise ConfigurationError(f"{path}: an experiment is an object, with title, description and method")
        for key in ("title", "description", "method"):
            if key not in document:
                raise ConfigurationError(f"{path}: an experiment needs {key!r}, and this one has none")
    except (ChaosException, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConfigurationError(f"{path}: {error or type(error).__name__}") from None
    return Experiment(path, document, _extension(path, document))


def _extension(path: Path, document: Mapping[str, Any]) -> Mapping[str, Any]:
    found: dict[str, Any] = next((one for one in document.get("extensions") or () if one.get("name") == EXTENSION), {})
    for key in found:
        if key not in _KNOWN:
            raise ConfigurationError(f"{path}: extension {EXTENSION} has no {key!r}. {nearest(key, _KNOWN)}")
    for key, known in (("hypothesis-strategy", _HYPOTHESES), ("rollback-strategy", _ROLLBACKS)):
        if (value := found.get(key, "default")) not in known:
            raise ConfigurationError(f"{path}: {key} {value!r} does not exist. {nearest(str(value), known)}")
    return found


def execute(experiment: Experiment, handle: Handle | None, emit: Callable[..., Any], journal_file: Path) -> None:
    """Run it and keep its journal.

    Raises ConfigurationError when it is not valid, Failed when it deviated, failed, or was aborted or interrupted.
    """
    from chaoslib.caching import with_cache
    from chaoslib.exceptions import ChaosException
    from chaoslib.experiment import ensure_experiment_is_valid, run_experiment
    from chaoslib.types import Strategy

    # It tells every step by its own logger; the run's events say the same.
    logging.getLogger("chaostoolkit").setLevel(logging.CRITICAL)
    extension = experiment.extension
    document = json.loads(json.dumps(experiment.document))
    interrupted: list[bool] = []
    try:
        with_cache(ensure_experiment_is_valid)(document)
        journal: dict[str, Any] = run_experiment(
            document,
            settings={"runtime": {"rollbacks": {"strategy": extension.get("rollback-strategy", "default")}}},
            strategy=Strategy.from_string(extension.get("hypothesis-strategy", "default")),
            event_handlers=[_events(handle, emit, interrupted)],
        )
    except ChaosException as error:
        raise ConfigurationError(f"{experiment.path}: {error or type(error).__name__}") from None
    finally:
        if handle:
            handle.close()
    journal_file.write_text(json.dumps(journal, indent=1, default=str) + "\n", encoding="utf-8")
    if interrupted:
        raise KeyboardInterrupt
    if handle and handle.failures:
        raise handle.failures[0]
    if told := _problem(journal):
        raise Failed(told)


def _events(handle: Handle | None, emit: Callable[..., Any], interrupted: list[bool]) -> Any:
    from chaoslib.run import RunEventHandler

    class Events(RunEventHandler):  # type: ignore[misc]
        """Gives activities the handle, and the run's log what they did."""

        def running(self, experiment: Any, journal: Any, configuration: Any, *_: Any) -> None:  # noqa: ARG002
            if handle:
                configuration[HANDLE] = handle

        def signal_exit(self) -> None:
            interrupted.append(True)  # Ctrl-C, which the library keeps to itself

        def activity_completed(self, activity: Any, run: Any) -> None:
            emit(
                "experiment.activity",
                activity=activity.get("name") or activity.get("ref"),
                type=activity.get("type"),
                status=run.get("status"),
                output=_short(run.get("output")),
            )

        def hypothesis_before_completed(self, experiment: Any, state: Any, journal: Any) -> None:  # noqa: ARG002
            emit("experiment.hypothesis", when="before", met=(state or {}).get("steady_state_met"))

        def hypothesis_after_completed(self, experiment: Any, state: Any, journal: Any) -> None:  # noqa: ARG002
            emit("experiment.hypothesis", when="after", met=(state or {}).get("steady_state_met"))

    return Events()


def _short(value: Any) -> str:
    text = json.dumps(value, default=str)
    return text if len(text) <= 300 else f"{text[:297]}..."


def _problem(journal: Mapping[str, Any]) -> str:
    """Why the experiment is no success, with the probe or the activity that shows it; empty when it is one.

    Stricter than the library's own verdict in one point: where the steady state was missed before the method, or while
    it ran, that is no success. Nothing was proven then.
    """
    status = "deviated" if journal["deviated"] else journal["status"]
    lines = [f"the experiment {status}"]
    states = journal.get("steady_states") or {}
    during = [("during", state) for state in states.get("during") or ()]
    for when, state in (("before", states.get("before")), *during, ("after", states.get("after"))):
        for probe in (state or {}).get("probes", ()):
            if not probe.get("tolerance_met", True):
                activity = probe["activity"]
                lines.append(
                    f"  {when} the method, the probe {activity['name']!r} found {_short(probe.get('output'))}, "
                    f"which is not within {_short(activity.get('tolerance'))}"
                )
    if status == "completed" and len(lines) == 1:
        return ""
    for run in (*journal.get("run", ()), *journal.get("rollbacks", ())):
        if run.get("status") == "failed":
            reason = str((run.get("exception") or [""])[-1]).strip() or "no reason given"
            lines.append(f"  {run['activity']['type']} {run['activity']['name']!r} failed: {reason}")
    return "\n".join(dict.fromkeys(lines))
