"""The auditor's kit: an archive whose verifier is one file, needs cryptography alone and says what the command says."""

import ast
import subprocess
import sys
import tarfile
from collections import Counter
from datetime import timedelta

import pytest
from evidence_runs import recorded

from pytest_enterprise.errors import ConfigurationError
from pytest_enterprise.evidence import kit, verify

NOW = "2026-02-01T00:00:00Z"


@pytest.fixture
def made(ledger, tmp_path):
    for number in (1, 2, 3):
        recorded(ledger, f"run-{number}")
        ledger._clock.at += timedelta(days=1)
    (ledger.directory / "running" / "x").write_text("not for auditors")
    told = kit.write(tmp_path / "out" / "kit.tar.gz", ledger.directory, ledger.directory.parent, now=ledger._clock())
    return tmp_path / "out" / "kit.tar.gz", told


def test_the_verifier_imports_the_standard_library_and_cryptography_only():
    imported = set()
    for node in ast.walk(ast.parse(kit.verifier())):
        if isinstance(node, ast.Import):
            imported |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0
            imported.add(node.module.partition(".")[0])
    assert imported - set(sys.stdlib_module_names) == {"cryptography"}


def test_no_name_of_one_module_hides_that_of_another():
    names = Counter()
    for node in ast.parse(kit.verifier()).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names[node.name] += 1
        elif isinstance(node, ast.Assign):
            names.update(one.id for target in node.targets for one in ast.walk(target) if isinstance(one, ast.Name))
    assert [name for name, count in names.items() if count > 1] == []


def alone(folder, *arguments):
    """The kit's own verifier, in a Python that cannot import this project."""
    block = "import sys; sys.modules['pytest_enterprise'] = None; import runpy; "
    program = (
        f"sys.argv = {['verify.py', *arguments]!r}; runpy.run_path({str(folder / 'verify.py')!r}, run_name='__main__')"
    )
    done = subprocess.run([sys.executable, "-I", "-c", block + program], capture_output=True, text=True, check=False)
    assert not done.stderr, done.stderr
    return done.returncode, done.stdout


@pytest.mark.parametrize("damage", ["", "load/1.bin", "evidence/evidence.jsonl", "evidence/attestation.json", "ledger"])
def test_the_kits_verifier_says_what_the_command_says(damage, made, key, capsys):
    archive, _ = made
    with tarfile.open(archive) as file:
        verify.unpack(file, archive.parent)
    folder = archive.parent / "kit"
    if damage:
        path = folder / "ledger" / "checkpoint" if damage == "ledger" else folder / "run-2" / damage
        path.write_bytes(path.read_bytes().replace(b"1", b"2", 1) if path.suffix != ".bin" else b"")
    arguments = [str(folder), "--key", key.fingerprint, "--now", NOW]
    status, out = alone(folder, *arguments)
    assert status == (3 if damage else 0), out
    assert verify.main(arguments) == status
    assert capsys.readouterr().out == out
    sampled = alone(folder, str(folder), "--sample", "2", "--seed", "theirs")
    assert sampled[0] == 0
    assert sampled[1].count("again: git checkout") == 2


def test_the_archive_itself_is_verified(made, key):
    assert verify.main([str(made[0]), "--key", key.fingerprint, "--now", NOW]) == 0


def test_it_holds_what_is_signed_and_what_people_read_and_no_more(made):
    with tarfile.open(made[0]) as file:
        names = {name.removeprefix("kit/") for name in file.getnames()}
    assert {name for name in names if not name.startswith("run-")} == {
        "README.txt",
        "coverage.html",
        "coverage.json",
        "coverage.md",
        "ledger/checkpoint",
        "ledger/entries.jsonl",
        "verify.py",
    }
    assert {name.removeprefix("run-1/") for name in names if name.startswith("run-1/")} == {
        "engines/etcd.log",
        "events.jsonl",
        "evidence/attestation.json",
        "evidence/evidence.csv",
        "evidence/evidence.jsonl",
        "evidence/inclusion.json",
        "index.html",
        "load/1.bin",
        "run.json",
    }


def test_the_fingerprint_is_told_apart_from_the_archive(made, key):
    assert key.fingerprint in made[1][-1]
    assert "another way" in made[1][-1]
    with tarfile.open(made[0]) as file:
        assert key.fingerprint not in file.extractfile("kit/README.txt").read().decode()


def test_without_a_ledger_there_is_no_kit(tmp_path, ledger):
    with pytest.raises(ConfigurationError, match="is no ledger"):
        kit.write(tmp_path / "kit.tar.gz", tmp_path, tmp_path, now=ledger._clock())
    assert list(tmp_path.glob("*.tar.gz")) == []
