"""What the first version of each format left stays readable: a kit that was written once and is never written again."""

import tarfile
from pathlib import Path

import pytest

from pytest_enterprise.evidence import verify

KIT = Path(__file__).parent / "format-1.tar.gz"
KEY = "SHA256:569aa69236e30735515af803294fd7f9747aeb52d483f8a3c5f1712b3f141b73"
NOW = "2027-01-01T00:00:00Z"


def test_evidence_of_the_first_formats_is_verified(capsys):
    assert verify.main([str(KIT), "--key", KEY, "--now", NOW]) == 0
    assert "note: schedule nightly: 3 slots: 1 run, 1 missed, 1 aborted" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("run-1/evidence/evidence.jsonl", b"evidence/1", b"evidence/2"),
        ("ledger/entries.jsonl", b"a", b"b"),
    ],
)
def test_it_is_not_verified_once_changed(name, old, new, tmp_path, capsys):
    with tarfile.open(KIT) as file:
        verify.unpack(file, tmp_path)
    path = tmp_path / "format-1" / name
    path.write_bytes(path.read_bytes().replace(old, new, 1))
    assert verify.main([str(tmp_path), "--key", KEY, "--now", NOW]) == 3
