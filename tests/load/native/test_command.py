"""``pytest-enterprise load`` without a locustfile."""

from __future__ import annotations

import argparse
import json
import re

import pytest

from pytest_enterprise.errors import ConfigurationError
from pytest_enterprise.load import command


def parse(*arguments):
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    return parser.parse_args([str(argument) for argument in arguments])


def test_paths_are_loaded_from_the_command_line(serve, tmp_path, capsys):
    """--get sends at the arrivals' moments and ends in a table that says so."""
    server = serve()
    given = ("--get", "/", "--get", "/json", "--arrivals", 100, "--seconds", 1, "--seed", 3)
    assert command.main(parse(*given, "--host", server.url, "--reports", tmp_path / "r")) == 0
    out = capsys.readouterr().out
    assert server.counts.total() == 100
    assert re.search(r"^GET / +\d+ +0 ", out, re.MULTILINE)
    assert re.search(r"^GET /json +\d+ +0 ", out, re.MULTILINE)
    assert re.search(r"^all +100 +0 ", out, re.MULTILINE)
    assert "open loop" in out
    assert "closed loop" not in out
    assert json.loads((tmp_path / "r" / "latest" / "run.json").read_text())["exit_status"] == 0


def test_requests_are_read_from_a_file(serve, tmp_path, capsys):
    server = serve()
    file = tmp_path / "requests.json"
    file.write_text('[{"method": "POST", "path": "/echo", "json": {"n": "{seq}"}, "expect": {"status": 201}}]')
    given = ("--requests", file, "--arrivals", "step:20/0.5s", "--reports", tmp_path / "r")
    assert command.main(parse(*given, "--host", server.url)) == 0
    assert sorted(json.loads(body)["n"] for *_, body in server.seen) == list(range(10))
    assert re.search(r"10 x POST /echo: HTTP 200", capsys.readouterr().out)


def test_requests_of_other_protocols_go_where_the_host_says(redis, tmp_path, capsys):
    file = tmp_path / "commands.json"
    file.write_text('[{"words": ["RPUSH", "list", "{seq}"]}, {"words": ["LPUSH", "text"], "weight": 0.1}]')
    given = ("--requests", file, "--arrivals", 100, "--seconds", 1, "--seed", 1, "--reports", tmp_path / "r")
    assert command.main(parse(*given, "--host", redis.host)) == 0
    out = capsys.readouterr().out
    assert re.search(r"^Redis RPUSH +\d+ +0 ", out, re.MULTILINE)
    assert re.search(r"\d+ x Redis LPUSH: Redis ERR", out)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("--get", "/", "--arrivals", "5", "--host", "redis://127.0.0.1:1"),
            "--get is for HTTP; to redis:// send --requests",
        ),
        (("--requests", "list.json", "--ca", "a", "--arrivals", "5", "--host", "grpc://a"), "--ca is for HTTP"),
        (("--requests", "list.json", "--arrivals", "5", "--host", "redis://a"), r'write {"words": \["GET", "key"\]}'),
        (("--requests", "list.json", "--arrivals", "5", "--host", "ws://a"), "cannot be sent to ws://; there are http"),
        ((), "nothing to send; give a locustfile, --get PATH, --requests FILE or --replay FILE"),
        (("--get", "/"), "--get needs --arrivals"),
        (("users.py", "--get", "/", "--arrivals", "5"), r"--get and locustfile 'users.py' are two loads"),
        (("--get", "/", "--arrivals", "5", "--users", "5"), "--users is for a locustfile; with --get, leave it out"),
        (("--get", "/", "--arrivals", "5", "--web"), "--web is for a locustfile"),
        (("--get", "tasks", "--arrivals", "5"), "path='tasks' is no path"),
        (("--get", "/", "--arrivals", "0"), "is no rate"),
        (("--requests", "no.json", "--arrivals", "5"), "--requests no.json cannot be read"),
        (("--requests", "object.json", "--arrivals", "5"), "object.json is no list"),
    ],
)
def test_mistakes_are_told(tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "object.json").write_text("{}")
    (tmp_path / "list.json").write_text('[{"path": "/"}]')
    with pytest.raises(ConfigurationError, match=message):
        command.main(parse("--host", "http://127.0.0.1:1", *arguments))
