"""Checkpoints as in C2SP: a signed note that names a log, its size and its root.

Part of the single-file verifier: the standard library and ``cryptography`` only.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Callable
from typing import NamedTuple

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

_ED25519, _COSIGNATURE = b"\x01", b"\x04"


class Malformed(ValueError):
    """Bytes that are not what their format says; the message says where and why."""


class Signature(NamedTuple):
    """One signature line of a note."""

    name: str
    key_hash: bytes
    """Four bytes that tell keys of one name apart."""
    value: bytes


class Checkpoint(NamedTuple):
    """What a log had become at one moment."""

    origin: str
    size: int
    root: bytes
    body: bytes
    """What is signed."""
    signatures: tuple[Signature, ...]


def key_hash(name: str, public: bytes, kind: bytes = _ED25519) -> bytes:
    """The four bytes that name a key in a signature line."""
    return hashlib.sha256(name.encode() + b"\n" + kind + public).digest()[:4]


def verifier_key(name: str, public: bytes) -> str:
    """A public key as the tools around signed notes take it, ``name+hash+key``."""
    key = base64.b64encode(_ED25519 + public).decode()
    return f"{name}+{key_hash(name, public).hex()}+{key}"


def signed_checkpoint(origin: str, size: int, root: bytes, public: bytes, sign: Callable[[bytes], bytes]) -> bytes:
    """A checkpoint, signed under the log's name."""
    body = f"{origin}\n{size}\n{base64.b64encode(root).decode()}\n".encode()
    return body + b"\n" + _line(origin, key_hash(origin, public) + sign(body))


def _line(name: str, signature: bytes) -> bytes:
    return f"\u2014 {name} {base64.b64encode(signature).decode()}\n".encode()


def parse_note(data: bytes) -> tuple[bytes, tuple[Signature, ...]]:
    """The text of a note and its signatures. Raises Malformed for anything that a signer would not have written."""
    head, gap, tail = data.rpartition(b"\n\n")
    if not gap or not tail:
        raise Malformed("it is no signed note: a blank line and a signature are missing")
    signatures = []
    try:
        for line in tail.decode().split("\n")[:-1]:
            dash, name, text = line.split(" ")
            value = base64.b64decode(text, validate=True)
            if dash != "\u2014" or not name or len(value) < 5 or base64.b64encode(value).decode() != text:
                raise Malformed(f"{line[:60]!r} is no signature line")
            signatures.append(Signature(name, value[:4], value[4:]))
    except (UnicodeDecodeError, binascii.Error, ValueError) as error:
        raise Malformed(f"a signature line cannot be read: {error}") from None
    if not signatures or not tail.endswith(b"\n"):
        raise Malformed("its last signature line was cut short")
    return head + b"\n", tuple(signatures)


def parse_checkpoint(data: bytes) -> Checkpoint:
    """A checkpoint, read but not yet verified. Raises Malformed."""
    body, signatures = parse_note(data)
    try:
        lines = body.decode().split("\n")
        origin, size, root = lines[:3]
        count, hash = int(size), base64.b64decode(root, validate=True)
    except (UnicodeDecodeError, binascii.Error, ValueError):
        raise Malformed("it does not begin with a log's name, its size and its root") from None
    if not origin or str(count) != size or count < 0 or len(hash) != 32 or base64.b64encode(hash).decode() != root:
        raise Malformed("its size or its root is not written as a checkpoint's")
    return Checkpoint(origin, count, hash, body, signatures)


def signed_by(body: bytes, signatures: tuple[Signature, ...], name: str, public: bytes) -> bool:
    """Whether one of the signatures is this key's."""
    for signature in signatures:
        if signature.name == name and signature.key_hash == key_hash(name, public):
            return holds(public, signature.value, body)
    return False


def cosigned_at(checkpoint: Checkpoint, verifier: str) -> int | None:
    """When a witness saw a checkpoint, in seconds since 1970; None where it did not sign.

    ``verifier`` is the witness's key as it publishes it, ``name+hash+key``. Raises Malformed where it is none.
    """
    try:
        name, hash, text = verifier.strip().split("+", 2)
        key = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise Malformed(f"{verifier!r} is no verifier key; it reads name+hash+key") from None
    if key[:1] != _COSIGNATURE or len(key) != 33 or key_hash(name, key[1:], _COSIGNATURE).hex() != hash:
        raise Malformed(f"{verifier!r} is no key of a witness (Ed25519 cosignature, kind 4)")
    for signature in checkpoint.signatures:
        if signature.name == name and signature.key_hash.hex() == hash and len(signature.value) == 72:
            at = int.from_bytes(signature.value[:8], "big")
            if holds(key[1:], signature.value[8:], b"cosignature/v1\ntime %d\n" % at + checkpoint.body):
                return at
    return None


def holds(public: bytes, signature: bytes, message: bytes) -> bool:
    """Whether an Ed25519 signature is this key's over this message."""
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True
