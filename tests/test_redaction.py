"""Secrets never reach what a run writes down, and what is none is left alone."""

import json

import pytest

from pytest_enterprise.events import EventLog, read
from pytest_enterprise.redaction import MARK, Redactor

CANARY = "Kanarie/7f3a+Zq=9"
FORMS = [CANARY, "Kanarie%2F7f3a%2BZq%3D9", "S2FuYXJpZS83ZjNhK1pxPTk"]


@pytest.mark.parametrize("form", FORMS)
def test_a_known_secret_is_taken_out_in_every_form(form):
    assert Redactor([CANARY]).text(f"before {form} after") == f"before {MARK} after"


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("password=hunter2222 and more", f"password={MARK} and more"),
        ("DB_PASSWORD: 'hunter2222'", f"DB_PASSWORD: '{MARK}'"),
        ('{"api_key": "abcdefgh"}', f'{{"api_key": "{MARK}"}}'),
        ("postgres://anna:geheim@db/x", f"postgres://anna:{MARK}@db/x"),
        ("Authorization: Bearer abcdefghijkl", f"Authorization: Bearer {MARK}"),
        ("key AKIAABCDEFGHIJKLMNOP.", f"key {MARK}."),
        ("ghp_abcdefghijklmnopqrstuvwx", MARK),
        ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc_d", MARK),
        ("a -----BEGIN EC PRIVATE KEY-----\nMHc\n-----END EC PRIVATE KEY----- b", f"a {MARK} b"),
        ("a -----BEGIN PRIVATE KEY-----\ncut short", f"a {MARK}"),
    ],
)
def test_what_looks_like_a_secret_is_taken_out(text, left):
    assert Redactor().text(text) == left
    assert Redactor().text(left) == left


@pytest.mark.parametrize(
    "text",
    [
        *("tokens: 5 lost", "test_x.py::test[a@b]", "http://127.0.0.1:8000/x?y=1", "the password was refused"),
        *("passwords 1234 looked at", "task-1 on disk-2", "", "µ 日本語", "https://example.org/a@b"),
    ],
)
def test_what_is_no_secret_is_left_alone(text):
    assert Redactor(["postgres", "12345"]).text(text) == text


def test_a_known_word_that_is_ordinary_does_not_take_out_half_of_the_text():
    assert Redactor(["postgres", "secret", "8080"]).text("agent -> postgres at 8080") == "agent -> postgres at 8080"


def test_documents_are_redacted_in_names_values_and_fields_that_say_what_they_hold():
    found = Redactor([CANARY]).document(
        {"db_password": "x1", "deep": [{CANARY: f"<{CANARY}>"}], "number": 1.5, "none": None, "object": object}
    )
    assert found == {
        "db_password": MARK,
        "deep": [{MARK: f"<{MARK}>"}],
        "number": 1.5,
        "none": None,
        "object": "<class 'object'>",
    }


def test_what_holds_no_secret_is_given_back_as_it_is():
    document = {"a": [1, "x"]}
    assert Redactor([CANARY]).document(document) is document


def test_the_environment_tells_secrets_by_the_names_of_variables(tmp_path):
    folder = tmp_path / "keys-of-mine"
    folder.mkdir()
    environ = {"SHOP_API_KEY": CANARY, "GITHUB_TOKEN": "ab#12#cd", "SECRET_FOLDER": str(folder), "HOME": "/home/anna"}
    redactor = Redactor.of(environ)
    assert redactor.text(f"{CANARY} ab#12#cd /home/anna {folder}") == f"{MARK} {MARK} /home/anna {folder}"


def test_passwords_of_urls_that_a_run_is_given_are_known(new_run):
    run = new_run(url={"db": "postgres://anna:Kan%2Farie-77@127.0.0.1:1/x"})
    run.write()
    run.events.emit("x", message="tried Kan/arie-77 and Kan%2Farie-77")
    run.events.close()
    assert read(run.directory)[0]["message"] == f"tried {MARK} and {MARK}"
    assert "arie" not in (run.directory / "run.json").read_text()


def test_a_long_text_takes_time_in_proportion():
    text = "password " * 30_000 + "a" * 300_000 + "://" * 30_000 + "@"
    assert Redactor().text(text)


def test_events_are_written_without_secrets_and_listeners_are_told_everything(tmp_path, monkeypatch):
    monkeypatch.setenv("SHOP_TOKEN", CANARY)
    log, told = EventLog(tmp_path), []
    log.subscribe(told.append)
    log.emit("test.finished", message=f"refused {CANARY}", path="a\udcff\ud800", error=ValueError(CANARY))
    log.close()
    assert told[0]["message"] == f"refused {CANARY}"
    [written] = read(tmp_path)
    assert written["message"] == f"refused {MARK}"
    assert written["error"] == MARK
    assert written["path"] == "a\\udcff\\ud800"
    assert CANARY not in json.dumps(written)
