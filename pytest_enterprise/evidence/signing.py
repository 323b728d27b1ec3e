"""What the settings say of signing: a run is in the ledger from its beginning, and its evidence is signed at its end.

Without the setting ``ledger`` nothing is signed, and no word says that it was. With it and without a key, a throw-away
key signs, and is named as such everywhere.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_enterprise.errors import ConfigurationError
from pytest_enterprise.settings import Settings

if TYPE_CHECKING:
    from pytest_enterprise.evidence.ledger import Ledger
    from pytest_enterprise.run import Run


def ledger_of(settings: Settings) -> Ledger:
    """The ledger that the settings name. Raises ConfigurationError."""
    if not settings.ledger:
        raise ConfigurationError(
            "no ledger is named: give --enterprise-ledger DIR (reports/ledger), or enterprise_ledger in the ini file"
        )
    try:
        from pytest_enterprise.evidence import copies, keys
        from pytest_enterprise.evidence.ledger import Ledger
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            f'signing needs {error.name}, which is not installed: pip install "pytest-enterprise[evidence]"'
        ) from None
    copies.check(settings.checkpoints, "checkpoints")
    directory = Path(settings.ledger).absolute()
    return Ledger(directory, keys.load(settings.key, directory))


class Signing:
    """The place of one run in the ledger."""

    def __init__(self, settings: Settings, run: Run) -> None:
        """Record that the run began. Raises ConfigurationError: a run that cannot be recorded does not begin."""
        self._settings = settings
        self._ledger = ledger_of(settings)
        self._run = run.id
        self._ledger.begin(run.id, began=datetime.now(UTC), commit=str(run.describe()["commit"]))

    def finish(self, directory: Path) -> list[str]:
        """Sign and append what the run left; lines for people. Raises ConfigurationError."""
        try:
            number = self._ledger.finish(directory)
        finally:
            self._ledger.close(self._run)
        return told(self._ledger, f"signed as entry {number + 1}", self._settings)


def told(ledger: Ledger, what: str, settings: Settings) -> list[str]:
    """What was appended, by which key, and where its checkpoint was copied to."""
    from pytest_enterprise.evidence import copies

    key = f"{ledger.key.fingerprint} ({ledger.key.source})"
    lines = [f"{what} of {ledger.directory} by {key}"]
    if ledger.key.throw_away:
        lines.append(
            "a throw-away key shows that nothing was damaged, and nothing about who signed: see --enterprise-key"
        )
    return [*lines, *copies.copy(ledger.directory, settings.checkpoints)]
