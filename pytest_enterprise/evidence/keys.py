"""Keys that sign evidence: Ed25519, from a file, the environment or a program; else one made for the moment."""

from __future__ import annotations

import hashlib
import os
import shlex
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from pytest_enterprise.errors import ConfigurationError, cannot_write
from pytest_enterprise.evidence.notes import holds

FORMS = "FILE (PEM), env:VARIABLE (PEM) or command:PROGRAM"
_PROGRAM_SECONDS = 30
_THROW_AWAY = "throw-away-key.pem"


@dataclass(frozen=True, kw_only=True)
class Key:
    """A key that can sign."""

    public: bytes
    """32 bytes."""
    sign: Callable[[bytes], bytes]
    source: str
    """Where it is from, for people; never the key."""
    throw_away: bool = False
    """It was made for a local run: its signatures show that nothing was damaged, and nothing about who signed."""

    @property
    def fingerprint(self) -> str:
        """What an auditor compares, having got it by another way."""
        return fingerprint(self.public)


def fingerprint(public: bytes) -> str:
    """``SHA256:`` and the hash of a public key."""
    return "SHA256:" + hashlib.sha256(public).hexdigest()


def load(source: str | None, directory: Path, environ: Mapping[str, str] = os.environ) -> Key:
    """The key that a setting names; without one, a throw-away key that is kept in ``directory``, beside what it signs.

    Raises ConfigurationError that says what is wrong with the key, never what it is.
    """
    if source is None:
        return _throw_away(directory)
    kind, _, rest = source.partition(":")
    if kind == "command" and rest.strip():
        return _from_program(shlex.split(rest))
    if kind == "env" and rest:
        if not environ.get(rest):
            raise ConfigurationError(f"key {source!r}: the environment has no variable {rest}; set it to a PEM")
        return _from_pem(environ[rest].replace("\\n", "\n").encode(), f"environment variable {rest}")
    path = Path(source)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ConfigurationError(
            f"key {source!r}: {error.strerror}. A key is {FORMS}; pytest-enterprise key FILE makes one"
        ) from None
    return _from_pem(data, f"file {path}")


def make(path: Path) -> Key:
    """Make a key and write it where only its owner can read it. Raises ConfigurationError where a file is there."""
    private = Ed25519PrivateKey.generate()
    data = private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    if path.exists():
        raise _there(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT, 0o600), "wb") as file:
            file.write(data)
    except OSError as error:
        raise cannot_write(path, error) from error
    try:
        path.hardlink_to(partial)  # whole or not at all, whoever else makes one now
    except FileExistsError:
        raise _there(path) from None
    except OSError as error:
        raise cannot_write(path, error) from error
    finally:
        partial.unlink()
    return _from_pem(data, f"file {path}")


def _there(path: Path) -> ConfigurationError:
    return ConfigurationError(f"{path} is there already, and a key is never overwritten: name another file")


def _throw_away(directory: Path) -> Key:
    path = directory / _THROW_AWAY
    try:
        made = make(path)
    except ConfigurationError:
        if not path.is_file():
            raise
        made = _from_pem(path.read_bytes(), f"file {path}")
    return Key(public=made.public, sign=made.sign, source=f"throw-away key {path}", throw_away=True)


def _from_pem(data: bytes, source: str) -> Key:
    try:
        private = serialization.load_pem_private_key(data, password=None)
    except (TypeError, ValueError, UnsupportedAlgorithm):
        raise ConfigurationError(
            f"key from {source}: it is no unencrypted private key in PEM. "
            "pytest-enterprise key FILE makes one, and command:PROGRAM signs with keys that cannot be read"
        ) from None
    if not isinstance(private, Ed25519PrivateKey):
        raise ConfigurationError(f"key from {source}: {type(private).__name__} given, and only Ed25519 signs evidence")
    return Key(public=private.public_key().public_bytes_raw(), sign=private.sign, source=source)


def _from_program(command: list[str]) -> Key:
    """A key that stays in a security module or a key service.

    ``PROGRAM public`` prints its public key in PEM; ``PROGRAM sign`` reads a message and prints the 64 bytes of its
    signature. Each signature is checked at once.
    """
    told = f"command:{shlex.join(command)}"
    try:
        public = serialization.load_pem_public_key(_ask(command, "public", b"", told))
    except (ValueError, UnsupportedAlgorithm):
        public = None
    if not isinstance(public, Ed25519PublicKey):
        raise ConfigurationError(f"key {told}: with the argument public it must print an Ed25519 public key in PEM")
    raw = public.public_bytes_raw()

    def sign(message: bytes) -> bytes:
        signature = _ask(command, "sign", message, told)
        if not holds(raw, signature, message):
            raise ConfigurationError(
                f"key {told}: it printed {len(signature)} bytes that are not its signature; with the argument sign it "
                "must read the message from its standard input and print the 64 bytes of an Ed25519 signature"
            )
        return signature

    return Key(public=raw, sign=sign, source=told)


def _ask(command: list[str], verb: str, message: bytes, told: str) -> bytes:
    try:
        done = subprocess.run(
            [*command, verb], input=message, capture_output=True, timeout=_PROGRAM_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ConfigurationError(f"key {told}: {error}") from None
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().rpartition("\n")[2]
        raise ConfigurationError(f"key {told}: {verb} ended with status {done.returncode}: {said}")
    return done.stdout
