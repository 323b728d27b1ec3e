"""Exceptions: failures that somebody with the right to do so accepts for a while, kept in ``exceptions.toml``.

.. code-block:: toml

    [[exception]]
    scenario = "scenarios/failover/test_database.py::test_database_cut_for_3_s"   # or: claim = "database-cut"
    owner = "payments team"
    reason = "The pool of connections is replaced in May; until then recovery takes 4 s."
    approver = "J. Doe, head of operations"
    expires = 2026-12-31

An exception changes no outcome: what failed stays failed, and the evidence says who accepted it until when. One that
has expired makes the run fail.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from datetime import date, datetime
from pathlib import Path
from typing import Any

from pytest_enterprise.claims import base
from pytest_enterprise.errors import ConfigurationError, nearest

_TEXTS = ("owner", "reason", "approver")
_WHAT = ("scenario", "claim")
NEEDED = (*_TEXTS, "expires")
FIELDS = (*_WHAT, *NEEDED)


def load(path: Path) -> list[dict[str, str]]:
    """The exceptions of a file, as run.json holds them; none when there is no such file.

    ``expires`` is the last day on which it holds, ``2026-12-31``. Raises ConfigurationError that names file and
    exception.
    """
    if not path.exists():
        return []
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{path}: cannot be read as TOML: {error}") from None
    if unknown := set(document) - {"exception"}:
        raise ConfigurationError(f"{path}: {min(unknown)!r} means nothing here; write [[exception]] tables only")
    tables = document.get("exception", [])
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        raise ConfigurationError(f"{path}: write each exception as a table headed [[exception]], in double brackets")
    return [_exception(f"{path}: exception {number}", table) for number, table in enumerate(tables, 1)]


def _exception(where: str, table: Mapping[str, Any]) -> dict[str, str]:
    for key in table:
        if key not in FIELDS:
            raise ConfigurationError(f"{where}: unknown key {key!r}. {nearest(key, FIELDS)}")
    named = [key for key in _WHAT if key in table]
    if len(named) != 1:
        raise ConfigurationError(f'{where}: name what it is for, either scenario = "..." or claim = "..."')
    found = {}
    for key in (*named, *_TEXTS):
        value = table.get(key)
        if not isinstance(value, str) or not value.strip():
            raise ConfigurationError(f'{where}: {key}={value!r}; every exception has {key} = "..."')
        found[key] = value.strip()
    expires = table.get("expires")
    if not isinstance(expires, date) or isinstance(expires, datetime):
        raise ConfigurationError(
            f"{where}: expires={expires!r}; give the last day on which it holds: 2026-12-31, no quotes"
        )
    return {**found, "expires": expires.isoformat()}


def expired(exception: Mapping[str, str], day: str) -> bool:
    """Whether it no longer holds on ``day``, a date or time that begins ``2026-12-31``."""
    return exception["expires"] < day[:10]


def name(exception: Mapping[str, str]) -> str:
    """What it is for, in a few words."""
    return exception.get("scenario") or f"claim {exception.get('claim', '')}"


def waiver(exceptions: Iterable[Mapping[str, str]], test: str, claim: str, day: str) -> Mapping[str, str] | None:
    """The exception that applies to a failure of a test on ``day``, the one that expires last; None: there is none."""
    mine = [
        exception
        for exception in exceptions
        if not expired(exception, day)
        and (exception.get("scenario") in (test, base(test)) or (claim and exception.get("claim") == claim))
    ]
    return max(mine, key=lambda exception: exception["expires"], default=None)
