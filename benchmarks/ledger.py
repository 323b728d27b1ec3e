"""What a year of nightly runs costs to verify, and whether any change to a run's evidence escapes.

Run it: ``python benchmarks/ledger.py``.
"""

from __future__ import annotations

import random
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from pytest_enterprise.evidence import documents, keys, verify
from pytest_enterprise.evidence.coverage import coverage
from pytest_enterprise.evidence.ledger import Ledger

RUNS = 400
CHANGES = 10_000
TIMES = 3
NOW = datetime(2028, 1, 1, tzinfo=UTC)

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "evidence"))


def _ledger(reports: Path) -> tuple[Ledger, list[float]]:
    """A year of nightly runs and some; how long each took to be recorded at its end."""
    from evidence_runs import Clock, make_run, measurement, scenario

    reports.mkdir(parents=True)
    clock = Clock()
    ledger = Ledger(reports / "ledger", keys.make(reports.parent / "key.pem"), clock=clock)
    oscal = _oscal(reports.parent / "template")
    took = []
    for number in range(RUNS):
        began = clock()
        ledger.begin(f"run-{number:03}", began=began, commit="a" * 40)
        many = [measurement(f"objective-{n}", 0.9995) for n in range(6)]
        nightly = [scenario(f"scenarios/test_{n % 9}.py::test_{n}", measurements=many) for n in range(40)]
        directory = make_run(reports, f"run-{number:03}", began=began, scenarios=nightly)
        shutil.copytree(oscal, directory / "evidence" / "oscal")
        clock.at += timedelta(hours=1)
        start = time.perf_counter()
        ledger.finish(directory)
        took.append(time.perf_counter() - start)
        clock.at += timedelta(hours=23)
    return ledger, took


def _oscal(directory: Path) -> Path:
    """The documents of one such run, to be copied into all: only their hashes matter."""
    from evidence import make_run

    make_run(directory, 40)
    documents.write(directory)
    return directory / "evidence" / "oscal"


def _seconds(do: Callable[[], Any]) -> float:
    def once() -> float:
        start = time.perf_counter()
        do()
        return time.perf_counter() - start

    return statistics.median(once() for _ in range(TIMES))


class _Tamper:
    """Changes one thing at a time of one run and its ledger, and undoes it."""

    def __init__(self, reports: Path, ledger: Ledger, earlier: bytes, seed: int) -> None:
        self._reports, self._earlier = reports, earlier
        self._trusted = [ledger.key.fingerprint]
        self._random = random.Random(seed)
        run = reports / "run-1"
        unsigned = {run / "index.html"}  # a report, made from the rest
        self.files = [path for path in sorted(run.rglob("*")) if path.is_file() and path not in unsigned]
        self.files += [ledger.directory / name for name in ("entries.jsonl", "checkpoint")]
        self._lines = ledger.directory / "entries.jsonl"
        self.escaped: list[str] = []
        assert not self._found(), "what nobody touched must be clean"

    def _found(self) -> bool:
        try:
            places = verify.locate(self._reports)
        except verify.NothingToVerify:  # the ledger itself was deleted
            return True
        found = verify.verify(places, trusted=self._trusted, earlier=self._earlier, now=NOW)
        return any(one.severity in ("broken", "incomplete") for one in found)

    def once(self) -> str:
        """One change drawn at random; its kind."""
        kind = self._random.choice(("byte", "byte", "byte", "byte", "deletion", "reordering", "replay", "rollback"))
        path = self._random.choice(self.files) if kind in ("byte", "deletion") else self._lines
        before = path.read_bytes()
        changed = getattr(self, f"_{kind}")(before)
        if changed == before:
            return self.once()
        if changed is None:
            path.unlink()
        else:
            path.write_bytes(changed)
        if not self._found():
            self.escaped.append(f"{kind} of {path.relative_to(self._reports)}")
        path.write_bytes(before)
        return kind

    def _byte(self, data: bytes) -> bytes:
        at = self._random.randrange(len(data))
        return data[:at] + bytes([data[at] ^ self._random.randrange(1, 256)]) + data[at + 1 :]

    def _deletion(self, data: bytes) -> bytes | None:
        """Of the file, of a byte, or of a line."""
        way = self._random.randrange(3)
        if way == 0:
            return None
        if way == 1:
            at = self._random.randrange(len(data))
            return data[:at] + data[at + 1 :]
        lines = data.splitlines(keepends=True)
        del lines[self._random.randrange(len(lines))]
        return b"".join(lines)

    def _reordering(self, data: bytes) -> bytes:
        lines = data.splitlines(keepends=True)
        self._random.shuffle(lines)
        return b"".join(lines)

    def _replay(self, data: bytes) -> bytes:
        lines = data.splitlines(keepends=True)
        lines.insert(self._random.randrange(len(lines) + 1), self._random.choice(lines))
        return b"".join(lines)

    def _rollback(self, data: bytes) -> bytes:
        lines = data.splitlines(keepends=True)
        return b"".join(lines[: self._random.randrange(len(lines))])


def _tampering(folder: Path) -> dict[str, Any]:
    """Changes over a run with all its documents, the second of three."""
    from evidence import make_run
    from evidence_runs import Clock

    reports = folder / "reports"
    reports.mkdir(parents=True)
    clock = Clock(datetime(2026, 11, 24, 2, 20, 17, tzinfo=UTC))
    ledger = Ledger(reports / "ledger", keys.make(folder / "key.pem"), clock=clock)
    for number in range(3):
        directory = reports / f"run-{number}"
        make_run(directory, 3)
        _plausible(directory / "events.jsonl")
        documents.write(directory)
        ledger.begin(directory.name, began=clock())
        clock.at += timedelta(minutes=1)
        ledger.finish(directory)
    checkpoint = (ledger.directory / "checkpoint").read_bytes()
    tamper = _Tamper(reports, ledger, checkpoint, seed=7)
    for _ in range(CHANGES):
        tamper.once()
    for one in tamper.escaped[:10]:
        print("escaped:", one)  # noqa: T201
    return {
        f"changes to a run's evidence that escape, of {CHANGES:,} (at most 0)": len(tamper.escaped),
        "files of that run and its ledger": len(tamper.files),
    }


def _plausible(events: Path) -> None:
    """That run's makers cared for its size only: give it measurements that hold where it says so."""
    events.write_text(events.read_text().replace('"limit": 0.995', '"limit": 0.999'))


def measure() -> dict[str, Any]:
    """Rows of figures."""
    folder = Path(tempfile.mkdtemp(prefix="ledger-", dir="/dev/shm" if Path("/dev/shm").is_dir() else None))
    try:
        ledger, took = _ledger(folder / "year" / "reports")
        places = verify.locate(ledger.directory.parent)
        trusted = [ledger.key.fingerprint]
        found = verify.verify(places, trusted=trusted, now=NOW)
        assert all(one.severity == "note" for one in found), found[:3]
        return {
            f"verify of {RUNS} runs with 40 scenarios each, s (under 5)": round(
                _seconds(lambda: verify.verify(places, trusted=trusted, now=NOW)), 2
            ),
            "coverage of the same, s": round(
                _seconds(lambda: coverage(ledger.directory, ledger.directory.parent, now=NOW)), 2
            ),
            "signing and appending the first run, ms": round(statistics.median(took[:20]) * 1000),
            f"signing and appending the {RUNS}th run, ms (under 300)": round(statistics.median(took[-20:]) * 1000),
            **_tampering(folder / "tampered"),
        }
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    for row, value in measure().items():
        print(f"{row}: {value}")  # noqa: T201
