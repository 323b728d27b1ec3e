"""Signed notes and checkpoints, against the vector of the format's authors and against hands that edit."""

import base64

import pytest

from pytest_enterprise.evidence import notes
from pytest_enterprise.evidence.notes import Malformed

TEXT = b"If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
SIGNATURE = "x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM="
NOTE = TEXT + f"\n\u2014 PeterNeumann {SIGNATURE}\n".encode()
PUBLIC = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"


def test_the_published_note_verifies_with_the_published_key():
    public = base64.b64decode(PUBLIC.split("+", 2)[2])[1:]
    assert notes.verifier_key("PeterNeumann", public) == PUBLIC
    text, signatures = notes.parse_note(NOTE)
    assert text == TEXT
    assert notes.signed_by(text, signatures, "PeterNeumann", public)
    assert not notes.signed_by(text + b"x", signatures, "PeterNeumann", public)
    assert not notes.signed_by(text, signatures, "SomebodyElse", public)


def test_a_checkpoint_reads_as_it_was_signed(key):
    data = notes.signed_checkpoint("log/1", 12, b"r" * 32, key.public, key.sign)
    read = notes.parse_checkpoint(data)
    assert (read.origin, read.size, read.root) == ("log/1", 12, b"r" * 32)
    assert notes.signed_by(read.body, read.signatures, "log/1", key.public)


def test_no_byte_of_a_checkpoint_can_be_changed(key):
    data = notes.signed_checkpoint("log/1", 12, b"r" * 32, key.public, key.sign)
    for at in range(len(data)):
        for changed in (data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :], data[:at] + data[at + 1 :]):
            try:
                read = notes.parse_checkpoint(changed)
            except Malformed:
                continue
            assert not notes.signed_by(read.body, read.signatures, read.origin, key.public), at


@pytest.mark.parametrize(
    "body", [b"", b"log\n", b"log\n01\n", b"log\n-1\nAA==\n", b"log\n1\nAA==\n", b"\n1\n" + b"A" * 43 + b"=\n"]
)
def test_a_note_that_is_no_checkpoint_is_malformed(body, key):
    line = NOTE.rpartition(b"\n\n")[2]
    with pytest.raises(Malformed):
        notes.parse_checkpoint(body + b"\n" + line)


@pytest.mark.parametrize("text", ["", "name", "name+00000000+AA==", PUBLIC])
def test_a_key_that_is_no_witness_is_refused(text, key):
    read = notes.parse_checkpoint(notes.signed_checkpoint("log/1", 1, b"r" * 32, key.public, key.sign))
    with pytest.raises(Malformed, match="key"):
        notes.cosigned_at(read, text)
