"""Copies of checkpoints: in a directory, a git remote, with a time-stamp authority and with a witness."""

import base64
import http.server
import subprocess
import threading
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from evidence_runs import recorded

from pytest_enterprise.errors import ConfigurationError
from pytest_enterprise.evidence import notes, verify
from pytest_enterprise.evidence.copies import check, copy
from pytest_enterprise.evidence.entries import CHECKPOINT, ENTRIES
from pytest_enterprise.evidence.merkle import extends


@pytest.fixture
def serve():
    """Starts a server whose answers a function gives: (path, body) to (status, bytes)."""
    servers = []

    def start(answer):
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                status, body = answer(self.path, self.rfile.read(int(self.headers["Content-Length"])))
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *arguments):
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_port}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def test_each_size_gets_a_file_that_is_never_overwritten(ledger, tmp_path):
    kept = tmp_path / "kept"
    for number in range(3):
        recorded(ledger, f"run-{number}")
        (line,) = copy(ledger.directory, [str(kept)])
        assert "copied to" in line
    assert [path.name.split("-")[1] for path in sorted(kept.iterdir())] == [
        "00000002.checkpoint",
        "00000004.checkpoint",
        "00000006.checkpoint",
    ]
    for path in kept.iterdir():
        assert verify.main([str(ledger.directory), "--checkpoint", str(path)]) == 1  # the key was not named
    assert "copied to" in copy(ledger.directory, [str(kept)])[0]


def test_a_rewritten_ledger_of_the_same_size_is_told(ledger, tmp_path):
    recorded(ledger, "run-1")
    copy(ledger.directory, [str(tmp_path)])
    body, _ = notes.parse_note((ledger.directory / CHECKPOINT).read_bytes())
    origin = body.decode().split("\n")[0]
    other = notes.signed_checkpoint(origin, 2, b"x" * 32, ledger.key.public, ledger.key.sign)
    (ledger.directory / CHECKPOINT).write_bytes(other)
    assert "NOT copied" in (line := copy(ledger.directory, [str(tmp_path)])[0])
    assert "the ledger was rewritten" in line


def git(*arguments):
    return subprocess.run(("git", *arguments), capture_output=True, text=True, check=True).stdout


def test_a_git_remote_gets_one_commit_for_each_checkpoint_and_keeps_what_is_there(ledger, tmp_path):
    remote = tmp_path / "remote.git"
    git("init", "--quiet", "--bare", str(remote))
    for number in range(2):
        recorded(ledger, f"run-{number}")
        assert copy(ledger.directory, [f"git:{remote}"]) == [f"checkpoint pushed to {remote}, branch checkpoints"]
    log = git("-C", str(remote), "log", "--format=%s", "checkpoints").splitlines()
    assert [line.rpartition(": ")[2] for line in log] == ["4 entries", "2 entries"]
    (name,) = git("-C", str(remote), "ls-tree", "--name-only", "checkpoints").split()
    shown = subprocess.run(
        ("git", "-C", str(remote), "show", f"checkpoints:{name}"), capture_output=True, check=True
    ).stdout
    assert shown == (ledger.directory / CHECKPOINT).read_bytes()


class Witness:
    """A witness as C2SP's tlog-witness has it: it signs only what extends what it signed."""

    name = "witness.example/w1"

    def __init__(self):
        self.key = Ed25519PrivateKey.generate()
        self.public = self.key.public_key().public_bytes_raw()
        self.size, self.root = 0, b""

    @property
    def verifier(self):
        hash = notes.key_hash(self.name, self.public, b"\x04").hex()
        return f"{self.name}+{hash}+{base64.b64encode(bytes([4]) + self.public).decode()}"

    def answer(self, path, body):
        assert path == "/add-checkpoint"
        head, _, note = body.partition(b"\n\n")
        old, *proof = head.decode().split("\n")
        checkpoint = notes.parse_checkpoint(note)
        if int(old.removeprefix("old ")) != self.size:
            return 409, f"{self.size}\n".encode()
        if not extends(
            self.size, checkpoint.size, self.root, checkpoint.root, [base64.b64decode(one) for one in proof]
        ):
            return 422, b"it does not extend what I saw"
        self.size, self.root = checkpoint.size, checkpoint.root
        at = 1767225600
        signed = self.key.sign(b"cosignature/v1\ntime %d\n" % at + checkpoint.body)
        value = notes.key_hash(self.name, self.public, b"\x04") + at.to_bytes(8, "big") + signed
        return 200, f"\u2014 {self.name} {base64.b64encode(value).decode()}\n".encode()


def test_a_witness_signs_what_extends_what_it_saw(ledger, serve, capsys):
    witness = Witness()
    url = serve(witness.answer)
    for number in range(4):
        recorded(ledger, f"run-{number}")
        ledger._clock.at += timedelta(days=1)
        assert copy(ledger.directory, [f"witness:{url}"]) == [f"checkpoint signed by the witness {witness.name}"]
    arguments = [str(ledger.directory), "--key", ledger.key.fingerprint, "--now", "2026-02-01T00:00:00Z"]
    assert verify.main([*arguments, "--witness", witness.verifier]) == 0
    assert f"witness {witness.name} saw it at 2026-01-01T00:00:00.000Z" in capsys.readouterr().out
    recorded(ledger, "run-5")
    assert verify.main([*arguments, "--witness", witness.verifier]) == 1
    assert f"witness {witness.name} did not sign it" in capsys.readouterr().out


def test_a_witness_that_saw_more_tells_of_a_rollback(ledger, serve):
    witness = Witness()
    url = serve(witness.answer)
    recorded(ledger, "run-1")
    before = [(ledger.directory / name).read_bytes() for name in (ENTRIES, CHECKPOINT)]
    recorded(ledger, "run-2")
    copy(ledger.directory, [f"witness:{url}"])
    for name, data in zip((ENTRIES, CHECKPOINT), before, strict=True):
        (ledger.directory / name).write_bytes(data)
    assert "it has seen 4 entries and here are 2: a rollback" in copy(ledger.directory, [f"witness:{url}"])[0]


CONFIG = """
[ tsa ]
default_tsa = t
[ t ]
serial = {folder}/serial
signer_digest = sha256
default_policy = 1.2.3.4.1
digests = sha256, sha512
ess_cert_id_alg = sha256
[ req ]
distinguished_name = dn
x509_extensions = ext
prompt = no
[ dn ]
CN = own authority
[ ext ]
extendedKeyUsage = critical, timeStamping
"""


@pytest.fixture
def authority(tmp_path, serve):
    """A time-stamp authority of one's own, which openssl is."""
    folder = tmp_path / "tsa"
    folder.mkdir()
    (folder / "serial").write_text("01\n")
    config = folder / "tsa.cnf"
    config.write_text(CONFIG.format(folder=folder))

    def openssl(*arguments):
        subprocess.run(("openssl", *arguments), check=True, capture_output=True)

    new = ("-newkey", "rsa:2048", "-nodes", "-x509", "-days", "2")
    openssl("req", *new, "-config", str(config), "-keyout", f"{folder}/key.pem", "-out", f"{folder}/cert.pem")

    def answer(path, body):
        (folder / "query").write_bytes(body)
        signer = ("-signer", f"{folder}/cert.pem", "-inkey", f"{folder}/key.pem")
        openssl(
            "ts", "-reply", "-config", str(config), "-queryfile", f"{folder}/query", *signer, "-out", f"{folder}/reply"
        )
        return 200, (folder / "reply").read_bytes()

    return serve(answer), folder


def test_a_time_stamp_is_kept_with_what_it_stamps_and_openssl_verifies_it(ledger, authority):
    url, folder = authority
    recorded(ledger, "run-1")
    (line,) = copy(ledger.directory, [f"tsa:{url}"])
    assert f"worth something if {url} is not yours" in line
    stamp = ledger.directory / "timestamps" / "00000002.tsr"
    data = ("-data", str(stamp.with_suffix(".checkpoint")))
    done = subprocess.run(
        ("openssl", "ts", "-verify", "-in", str(stamp), *data, "-CAfile", f"{folder}/cert.pem"),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_a_time_stamp_of_something_else_is_refused(ledger, authority, monkeypatch, serve):
    url, folder = authority
    recorded(ledger, "run-1")
    copy(ledger.directory, [f"tsa:{url}"])
    old = (folder / "reply").read_bytes()
    replayed = serve(lambda path, body: (200, old))
    assert "NOT copied" in (line := copy(ledger.directory, [f"tsa:{replayed}"])[0])
    assert "no time-stamp of this checkpoint" in line


@pytest.mark.parametrize("way", ["tsa", "witness"])
@pytest.mark.parametrize(("status", "body"), [(500, b"broken"), (200, b"\xff\xfe"), (200, b""), (409, b"x")])
def test_an_answer_that_is_none_is_told_and_changes_nothing(way, status, body, ledger, serve):
    recorded(ledger, "run-1")
    before = (ledger.directory / CHECKPOINT).read_bytes()
    (line,) = copy(ledger.directory, [f"{way}:{serve(lambda *_: (status, body))}"])
    assert line.startswith("checkpoint NOT copied to ")
    assert (ledger.directory / CHECKPOINT).read_bytes() == before


def test_one_that_fails_does_not_hinder_the_others(ledger, tmp_path):
    recorded(ledger, "run-1")
    lines = copy(ledger.directory, ["witness:http://127.0.0.1:9", f"git:{tmp_path}/none", str(tmp_path / "kept")])
    assert ["NOT" in line for line in lines] == [True, True, False]


@pytest.mark.parametrize("text", ["ftp:somewhere", "tsa:freetsa.org", "witness:", "git:", "http://x"])
def test_what_is_no_destination_is_refused_with_those_that_are(text):
    with pytest.raises(ConfigurationError, match="URL"):
        check([text], "checkpoints")
    check(["kept", "git:origin", "tsa:http://a", "witness:https://b"], "checkpoints")
