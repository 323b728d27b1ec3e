"""The ``baseline`` fixture: this run against what earlier runs on the same kind of machine measured.

``<directory>/<name>.jsonl`` has one line for each run: its id, time, commit, machine, and one value per metric and
endpoint. A run that was a regression stays there and is not compared with.
"""

from __future__ import annotations

import json
import os
import platform
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pytest_enterprise.errors import ConfigurationError, cannot_write, nearest
from pytest_enterprise.load.blocks import as_block
from pytest_enterprise.load.comparing import Comparison, unsound
from pytest_enterprise.objectives.metrics import ALL, Metric, named
from pytest_enterprise.objectives.runs import compare_run

if TYPE_CHECKING:
    from pytest_enterprise.objectives import Objectives

_NEWEST = 50
"""Earlier runs that count: what was measured a year ago says little of last week's machine."""


class Baseline:
    """Compares with earlier runs and adds this one: ``baseline("checkout", traffic, metric="p99").check()``."""

    def __init__(
        self,
        directory: Path,
        *,
        run: str,
        test: str = "",
        emit: Callable[..., Any] | None = None,
        objectives: Objectives | None = None,
    ) -> None:
        self.directory = directory
        self._run = run
        self._test = test
        self._emit = emit or (lambda *_, **__: None)
        self._objectives = objectives

    def __call__(
        self,
        name: str,
        measured: Any,
        *,
        metric: str | Metric | Sequence[str | Metric] = "median",
        margin: float = 0.1,
        confidence: float = 0.99,
        endpoints: Sequence[str] | Literal["each"] | None = None,
    ) -> Comparison:
        """Judge what was ``measured``: a load that has ended, a list of seconds, or a number.

        ``name`` is the file's; the other arguments are as for ``compare``. Raises ConfigurationError.
        """
        if not re.fullmatch(r"[\w.-]+", name):
            raise ConfigurationError(f"baseline {name!r}: use letters, digits, '-', '_' and '.' for its file's name")
        metrics = [named(one) for one in ([metric] if isinstance(metric, str | Metric) else metric)]
        block = as_block(measured, 1.0)
        known = sorted(set(block.samples) - {ALL})
        chosen = [ALL] if endpoints is None else (known or [ALL]) if endpoints == "each" else list(endpoints)
        path = self.directory / f"{name}.jsonl"
        machine, values, results = this_machine(), {}, []
        entries = list(_entries(path))
        earlier = [e for e in entries if e.get("run") != self._run and not e.get("regression")]
        alike = [entry for entry in earlier if entry.get("machine") == machine][-_NEWEST:]
        others = len(earlier) - sum(entry.get("machine") == machine for entry in earlier)
        sound = True
        for one in metrics:
            for endpoint in chosen:
                value = one.value(block, endpoint)
                if value is None:
                    near = nearest(endpoint, known or [ALL])
                    raise ConfigurationError(f"baseline {name!r}: no {one.name} of {endpoint!r} was measured. {near}")
                key = f"{one.name}/{endpoint}"
                values[key] = value
                result = compare_run(
                    value,
                    [entry["values"][key] for entry in alike if key in entry["values"]],
                    one,
                    endpoint=endpoint,
                    margin=margin,
                    confidence=confidence,
                    among=len(metrics) * len(chosen),
                )
                if why := unsound([block], endpoint, "this run"):
                    result, sound = replace(result, outcome="not decided", needed=None, detail=why), False
                if others:
                    result = replace(result, detail=f"{result.detail}; {others} runs of other machines were left out")
                results.append(result)
                self._emit("comparison.judged", **result.event(self._test, f"baseline {name}"))
        if sound:
            self._add(path, values, machine, regression=any(result.outcome == "regression" for result in results))
        return Comparison(results, self._objectives, f"baseline {name}")

    def _add(self, path: Path, values: Mapping[str, float], machine: str, *, regression: bool) -> None:
        entry = {
            "run": self._run,
            "at": datetime.now(UTC).isoformat(timespec="seconds"),
            "machine": machine,
            "values": values,
            **({"regression": True} if regression else {}),
        }
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            # One line in one write, so that runs at the same time do not mix theirs.
            with path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(entry) + "\n")
        except OSError as error:
            raise cannot_write(path, error) from error


def _entries(path: Path) -> Iterator[dict[str, Any]]:
    """What earlier runs left, of each run the last; lines that cannot be read are left out."""
    if not path.exists():
        return
    by_run: dict[str, dict[str, Any]] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if isinstance(entry, dict) and isinstance(entry.get("values"), dict):
            values = {k: v for k, v in entry["values"].items() if isinstance(v, int | float) and v > 0}
            by_run[str(entry.get("run"))] = {**entry, "values": values}
    yield from by_run.values()


def this_machine() -> str:
    """What figures depend on: the processor, how many there are, and Python."""
    model = platform.processor()
    try:
        found = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(encoding="utf-8"), re.MULTILINE)
        model = found[1] if found else model
    except OSError:
        pass
    return f"{os.cpu_count()} x {model or platform.machine()}, Python {'.'.join(platform.python_version_tuple()[:2])}"
