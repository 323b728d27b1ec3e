"""Where keys come from, and that a mistake with one is told without showing it."""

import stat
import sys

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from pytest_enterprise.errors import ConfigurationError
from pytest_enterprise.evidence import keys
from pytest_enterprise.evidence.notes import holds

PEM = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8


def test_a_key_that_was_made_is_its_owners_and_is_read_again(tmp_path):
    made = keys.make(tmp_path / "new" / "key.pem")
    assert stat.S_IMODE((tmp_path / "new" / "key.pem").stat().st_mode) == 0o600
    read = keys.load(str(tmp_path / "new" / "key.pem"), tmp_path)
    assert read.public == made.public
    assert not read.throw_away
    assert holds(made.public, read.sign(b"text"), b"text")
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["key.pem"]


def test_a_key_is_never_overwritten(tmp_path):
    keys.make(tmp_path / "key.pem")
    before = (tmp_path / "key.pem").read_bytes()
    with pytest.raises(ConfigurationError, match="never overwritten"):
        keys.make(tmp_path / "key.pem")
    assert (tmp_path / "key.pem").read_bytes() == before


def test_a_key_in_the_environment_may_have_its_lines_escaped(tmp_path):
    made = keys.make(tmp_path / "key.pem")
    pem = (tmp_path / "key.pem").read_text()
    for text in (pem, pem.replace("\n", "\\n")):
        assert keys.load("env:SIGNING", tmp_path, {"SIGNING": text}).public == made.public


def test_without_a_key_one_is_made_that_says_what_it_is(tmp_path):
    made = keys.load(None, tmp_path)
    assert made.throw_away
    assert "throw-away" in made.source
    assert keys.load(None, tmp_path).public == made.public


PROGRAM = """
import sys
from cryptography.hazmat.primitives import serialization
key = serialization.load_pem_private_key(open({path!r}, "rb").read(), None)
if sys.argv[1] == "public":
    pem = serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    sys.stdout.buffer.write(key.public_key().public_bytes(*pem))
else:
    sys.stdout.buffer.write(key.sign(sys.stdin.buffer.read()){more})
"""


def program(tmp_path, more=""):
    made = keys.make(tmp_path / "key.pem")
    (tmp_path / "module.py").write_text(PROGRAM.format(path=str(tmp_path / "key.pem"), more=more))
    return made, f"command:{sys.executable} {tmp_path / 'module.py'}"


def test_a_program_signs_with_a_key_that_it_keeps(tmp_path):
    made, source = program(tmp_path)
    key = keys.load(source, tmp_path)
    assert key.public == made.public
    assert key.sign(b"text") == made.sign(b"text")


def test_a_program_that_signs_wrongly_is_found_at_once(tmp_path):
    _, source = program(tmp_path, more="[:-1]")
    with pytest.raises(ConfigurationError, match="63 bytes that are not its signature"):
        keys.load(source, tmp_path).sign(b"text")


SECRET = "MC4CAQAwBQYDK2VwBCIEI"


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("nowhere.pem", "No such file"),
        ("env:UNSET", "no variable UNSET"),
        ("env:BROKEN", "no unencrypted private key"),
        ("env:LOCKED", "no unencrypted private key"),
        ("env:OTHER", "only Ed25519"),
        ("command:/no/such/program", "No such file"),
        ("command:false", "status 1"),
        ("command:true", "must print an Ed25519 public key"),
    ],
)
def test_a_mistake_says_what_is_allowed_and_shows_no_key(source, told, tmp_path):
    locked = Ed25519PrivateKey.generate().private_bytes(*PEM, serialization.BestAvailableEncryption(b"x")).decode()
    other = ec.generate_private_key(ec.SECP256R1()).private_bytes(*PEM, serialization.NoEncryption()).decode()
    environ = {"BROKEN": f"-----BEGIN PRIVATE KEY-----\n{SECRET}\n", "LOCKED": locked, "OTHER": other}
    with pytest.raises(ConfigurationError, match=told) as caught:
        keys.load(source, tmp_path, environ)
    assert SECRET not in str(caught.value)
