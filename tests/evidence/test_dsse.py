"""Envelopes in one spelling, which securesystemslib reads and verifies too."""

import base64
import json

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from securesystemslib.dsse import Envelope
from securesystemslib.exceptions import VerificationError
from securesystemslib.signer import SSlibKey

from pytest_enterprise.evidence.dsse import STATEMENT, canonical, encoding, seal, unseal
from pytest_enterprise.evidence.notes import Malformed

DOCUMENT = {"_type": "x", "é": [1, 2.5, None], "a": "\u2028"}


@pytest.fixture
def envelope(key):
    return seal(STATEMENT, DOCUMENT, key.public, key.sign)


def outside(key):
    return SSlibKey.from_crypto(Ed25519PublicKey.from_public_bytes(key.public), keyid=key.public.hex())


def test_the_encoding_is_that_of_the_specification():
    assert encoding("http://example.com/HelloWorld", b"hello world") == (
        b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    )


def test_what_was_sealed_is_unsealed(envelope, key):
    opened = unseal(envelope)
    assert (opened.payload_type, opened.payload, opened.public) == (STATEMENT, DOCUMENT, key.public)


def test_securesystemslib_verifies_it_and_refuses_a_changed_one(envelope, key):
    read = Envelope.from_dict(json.loads(envelope))
    assert read.verify([outside(key)], 1)
    read.payload += b" "
    with pytest.raises(VerificationError):
        read.verify([outside(key)], 1)


def test_no_byte_of_an_envelope_can_be_changed_or_removed(envelope):
    for at in range(len(envelope)):
        for bit in (1, 2, 32):
            with pytest.raises(Malformed):
                unseal(envelope[:at] + bytes([envelope[at] ^ bit]) + envelope[at + 1 :])
        with pytest.raises(Malformed):
            unseal(envelope[:at] + envelope[at + 1 :])


def test_another_spelling_of_the_same_signature_is_refused(envelope):
    document = json.loads(envelope)
    with pytest.raises(Malformed, match="as it was sealed"):
        unseal(json.dumps(document).encode())
    # The last character before the padding has bits that base64 ignores.
    sig = document["signatures"][0]["sig"]
    other = next(sig[:-3] + c + "==" for c in "BCDEFGHIJKLMNOPQR" if sig[-3] != c and _same(sig, sig[:-3] + c + "=="))
    document["signatures"][0]["sig"] = other
    with pytest.raises(Malformed, match="as it was sealed"):
        unseal(canonical(document))


def _same(one, other):
    return base64.b64decode(one)[:63] == base64.b64decode(other)[:63]


@pytest.mark.parametrize("data", [b"", b"{}", b"[]", b"null", b'{"payload":1}', b"[" * 100_000, b"\xff"])
def test_what_is_no_envelope_is_malformed(data):
    with pytest.raises(Malformed, match="no envelope"):
        unseal(data)


def test_a_key_that_did_not_sign_is_found(envelope, key):
    document = json.loads(envelope)
    document["signatures"][0]["keyid"] = "00" * 32
    with pytest.raises(Malformed, match="does not hold"):
        unseal(canonical(document))
