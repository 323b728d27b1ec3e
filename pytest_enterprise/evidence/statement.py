"""The statement on a run: an in-toto test result whose subjects are the run's files, each by its SHA-256."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from pytest_enterprise.errors import ConfigurationError
from pytest_enterprise.evidence.entries import ATTESTATION, INCLUSION, PREDICATE, STATEMENT_TYPE, format_time

RECORDS = "evidence/evidence.jsonl"
_RESULTS = {"held": "passedTests", "not-judged": "warnedTests", "skipped": ""}
_ALONE = ("events.jsonl", "run.json")
_FOLDERS = ("evidence", "load")


def files(directory: Path) -> Iterator[tuple[str, Path]]:
    """What a statement covers, by name below the run directory: events, run.json, recorded requests, evidence."""
    for name in _ALONE:
        if (directory / name).is_file():
            yield name, directory / name
    for folder in _FOLDERS:
        for path in sorted((directory / folder).rglob("*")):
            name = path.relative_to(directory).as_posix()
            if not path.is_file() or path.is_symlink() or name in (ATTESTATION, INCLUSION):
                continue
            if any("\udc80" <= c <= "\udcff" for c in name):
                raise ConfigurationError(f"{directory}: the name {name!r} is no UTF-8 and cannot be signed: rename it")
            yield name, path


def sha256(path: Path) -> str:
    """The hash of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def records(directory: Path) -> list[dict[str, Any]]:
    """The records of a run directory, the one of the run first. Raises ConfigurationError where there are none."""
    path = directory / RECORDS
    try:
        found = [json.loads(line) for line in path.read_bytes().splitlines()]
    except OSError as error:
        raise ConfigurationError(f"{path}: {error.strerror}; pytest-enterprise report {directory} makes it") from None
    except ValueError as error:
        raise ConfigurationError(
            f"{path}: a line is no JSON ({error}); pytest-enterprise report makes it anew"
        ) from None
    if not found or not all(isinstance(one, dict) for one in found) or found[0].get("kind") != "run":
        raise ConfigurationError(f"{path}: its first line is not the record of a run")
    return found


def statement(directory: Path, *, at: datetime, throw_away: bool) -> dict[str, Any]:
    """The statement on a run directory.

    The commit stands in the configuration: verifiers refuse it as a subject. A test that failed once stays failed,
    whatever was waived or retried.
    """
    run, *others = records(directory)
    tests: dict[str, list[str]] = {"passedTests": [], "warnedTests": [], "failedTests": []}
    skipped: list[str] = []
    sabotaged = [one for one in others if one.get("kind") == "sabotage"]
    for one in others:
        if one.get("kind") == "scenario":
            verdict = _RESULTS.get(str(one.get("outcome")), "failedTests")
            (tests[verdict] if verdict else skipped).append(str(one.get("node_id")))
    for one in sabotaged:
        name = f"{one.get('node_id')} [sabotage {one.get('switch')}]"
        tests["passedTests" if one.get("outcome") == "caught" else "failedTests"].append(name)
    result = "WARNED" if tests["warnedTests"] or not tests["passedTests"] else "PASSED"
    if tests["failedTests"] or run.get("exit_status") != 0:
        result = "FAILED"
    about = {
        "run": run["run"],
        "began": run["began"],
        "ended": run.get("ended") or "",
        "at": format_time(at),
        "exit_status": run.get("exit_status"),
        "mode": "sabotage" if sabotaged else "scenarios",
        "key": "throw-away" if throw_away else "kept",
        "environment": run.get("environment") or {},
        "skipped": skipped,
    }
    configuration: list[dict[str, Any]] = [{"name": "run", "annotations": about}]
    if run.get("commit"):
        configuration.append(
            {"name": "commit", "digest": {"gitCommit": run["commit"]}, "annotations": {"clean": run.get("clean")}}
        )
    return {
        "_type": STATEMENT_TYPE,
        "subject": [{"name": name, "digest": {"sha256": sha256(path)}} for name, path in files(directory)],
        "predicateType": PREDICATE,
        "predicate": {"result": result, "configuration": configuration, **tests},
    }
