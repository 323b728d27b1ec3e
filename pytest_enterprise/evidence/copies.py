"""Copies of a checkpoint where whoever keeps the ledger cannot rewrite them: what makes a rollback visible.

``DIRECTORY``
    a file ``<log>-<size>.checkpoint`` that is never overwritten: worth as much as the directory is out of reach;
``git:REMOTE``
    a commit on the branch ``checkpoints`` of a remote, pushed without force;
``tsa:URL``
    a time-stamp by an RFC 3161 authority, kept as ``timestamps/<size>.tsr`` in the ledger. A time-stamp from one's own
    authority proves nothing about time;
``witness:URL``
    a witness (C2SP tlog-witness), which signs only what extends what it signed before; its line joins the checkpoint.

A copy that fails is told and stops nothing: the ledger is whole without it, and the next run tries again.
"""

from __future__ import annotations

import base64
import fcntl
import os
import subprocess
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import urlsplit

from pytest_enterprise.errors import ConfigurationError
from pytest_enterprise.evidence.entries import CHECKPOINT, ENTRIES, split
from pytest_enterprise.evidence.merkle import Tree, leaf_hash
from pytest_enterprise.evidence.notes import Malformed, parse_checkpoint, parse_note

_SECONDS = 20
_BRANCH = "checkpoints"
_WAYS = ("git", "tsa", "witness")


class CopyFailed(Exception):
    """A copy could not be made; the message says why."""


def check(destinations: Iterable[str], source: str) -> None:
    """Refuse what is no destination. Raises ConfigurationError."""
    for one in destinations:
        way, colon, rest = one.partition(":")
        if way in ("tsa", "witness") and urlsplit(rest).scheme not in ("http", "https"):
            raise ConfigurationError(f"{source}: {one!r}: after {way}: there must be a URL, http:// or https://")
        if (colon and way not in _WAYS) or (way == "git" and not rest):
            raise ConfigurationError(f"{source}: {one!r} is none of DIRECTORY, git:REMOTE, tsa:URL and witness:URL")


def copy(ledger: Path, destinations: Iterable[str]) -> list[str]:
    """Copy the newest checkpoint to each destination; a line for each."""
    told = []
    for one in destinations:
        way, colon, rest = one.partition(":")
        try:
            if not colon:
                told.append(f"checkpoint copied to {_to_directory(ledger, Path(one))}")
            elif way == "git":
                _to_git(ledger, rest)
                told.append(f"checkpoint pushed to {rest}, branch {_BRANCH}")
            elif way == "tsa":
                told.append(
                    f"checkpoint time-stamped: {_time_stamp(ledger, rest)}; worth something if {rest} is not yours"
                )
            else:
                told.append(f"checkpoint signed by the witness {_witness(ledger, rest)}")
        except (CopyFailed, Malformed, OSError, subprocess.SubprocessError) as error:
            told.append(f"checkpoint NOT copied to {one}: {error}")
    return told


def _to_directory(ledger: Path, directory: Path) -> Path:
    data = (ledger / CHECKPOINT).read_bytes()
    checkpoint = parse_checkpoint(data)
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / f"{checkpoint.origin.rpartition('/')[2]}-{checkpoint.size:08}.checkpoint"
    try:
        with path.open("xb") as file:
            file.write(data)
    except FileExistsError:
        if parse_checkpoint(path.read_bytes()).body != checkpoint.body:
            raise CopyFailed(f"{path} is of the same size and says something else: the ledger was rewritten") from None
    return path


def _to_git(ledger: Path, remote: str) -> None:
    """One commit on top of what the remote has; nothing of the repository that tests run in is touched."""
    data = (ledger / CHECKPOINT).read_bytes()
    checkpoint = parse_checkpoint(data)
    with tempfile.TemporaryDirectory() as folder:

        def git(*arguments: str, check: bool = True) -> str:
            environment = {
                **os.environ,
                "GIT_TERMINAL_PROMPT": "0",
                "GIT_DIR": folder,
                "GIT_INDEX_FILE": f"{folder}/index",
            }
            who = ("-c", "user.name=pytest-enterprise", "-c", "user.email=pytest-enterprise@localhost")
            command = ("git", *who, *arguments)
            done = subprocess.run(
                command, input=data, capture_output=True, timeout=_SECONDS, check=False, env=environment
            )
            if check and done.returncode:
                raise CopyFailed(done.stderr.decode(errors="replace").strip().rpartition("\n")[2])
            return done.stdout.decode().strip() if done.returncode == 0 else ""

        git("init", "--quiet", "--bare", folder)
        known = git("ls-remote", remote, f"refs/heads/{_BRANCH}")
        parent = known.split("\t")[0] if known else ""
        if parent:
            git("fetch", "--quiet", "--depth=1", remote, f"refs/heads/{_BRANCH}")
            git("read-tree", parent)
        blob = git("hash-object", "-w", "--stdin")
        name = checkpoint.origin.rpartition("/")[2]
        git("update-index", "--add", "--cacheinfo", f"100644,{blob},{name}.checkpoint")
        tree = git("write-tree")
        message = f"{checkpoint.origin}: {checkpoint.size} entries"
        commit = git("commit-tree", tree, *(("-p", parent) if parent else ()), "-m", message)
        git("push", "--quiet", remote, f"{commit}:refs/heads/{_BRANCH}")


def _time_stamp(ledger: Path, url: str) -> Path:
    try:
        from rfc3161_client import TimestampRequestBuilder, decode_timestamp_response
    except ImportError:
        raise CopyFailed('pip install "pytest-enterprise[timestamps]" makes it possible') from None
    data = (ledger / CHECKPOINT).read_bytes()
    request = TimestampRequestBuilder().data(data).nonce(nonce=True).build()
    reply = _post(url, request.as_bytes(), "application/timestamp-query")
    try:
        answer = decode_timestamp_response(reply)
        same = answer.status == 0 and answer.tst_info.message_imprint.message == request.message_imprint.message
    except ValueError as error:
        raise CopyFailed(f"the answer is no time-stamp: {error}") from None
    if not same or answer.tst_info.nonce != request.nonce:
        raise CopyFailed("the answer is no time-stamp of this checkpoint")
    path = ledger / "timestamps" / f"{parse_checkpoint(data).size:08}.tsr"
    path.parent.mkdir(exist_ok=True)
    path.with_suffix(".checkpoint").write_bytes(data)
    path.write_bytes(reply)
    return path


def _witness(ledger: Path, url: str) -> str:
    """Ask a witness to sign; it says itself from which size it needs proof."""
    data = (ledger / CHECKPOINT).read_bytes()
    checkpoint = parse_checkpoint(data)
    lines, _ = split((ledger / ENTRIES).read_bytes())
    tree = Tree(map(leaf_hash, lines))
    old = 0
    for _ in range(2):
        proof = "".join(f"{base64.b64encode(one).decode()}\n" for one in tree.consistency(old, checkpoint.size))
        try:
            reply = _post(f"{url.rstrip('/')}/add-checkpoint", f"old {old}\n{proof}\n".encode() + data, "text/plain")
            break
        except _Conflict as conflict:
            old = conflict.size
            if old > checkpoint.size:
                raise CopyFailed(f"it has seen {old} entries and here are {checkpoint.size}: a rollback") from None
    else:
        raise CopyFailed("it does not say how many entries it knows")
    _, signatures = parse_note(checkpoint.body + b"\n" + reply)
    with (ledger / "lock").open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if (ledger / CHECKPOINT).read_bytes() != data:
            raise CopyFailed("another run put a newer checkpoint in its place meanwhile")
        partial = ledger / f".{CHECKPOINT}.part"
        partial.write_bytes(data + reply)
        partial.replace(ledger / CHECKPOINT)
    return signatures[0].name


class _Conflict(Exception):
    def __init__(self, size: int) -> None:
        super().__init__(size)
        self.size = size


def _post(url: str, body: bytes, kind: str) -> bytes:
    request = urllib.request.Request(url, body, {"Content-Type": kind}, method="POST")
    try:
        with urllib.request.urlopen(request, timeout=_SECONDS) as reply:
            found: bytes = reply.read(1 << 20)
            return found
    except urllib.error.HTTPError as error:
        text = error.read(1000).decode(errors="replace").strip()
        if error.code == 409 and text.isdecimal():
            raise _Conflict(int(text)) from None
        raise CopyFailed(f"it answered {error.code}: {text[:200]}") from None
    except urllib.error.URLError as error:
        raise CopyFailed(str(error.reason)) from None
