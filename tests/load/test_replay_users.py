"""Recorded traffic sent again, to a server that notes what it gets and when."""

from __future__ import annotations

import argparse
import json
import re
import time

import pytest

from pytest_enterprise import events
from pytest_enterprise.errors import ConfigurationError
from pytest_enterprise.load import command
from pytest_enterprise.load.redaction import REDACTED


def line(second, path="/", method="GET", status=200):
    return f'1.2.3.4 - - [10/Oct/2000:13:55:{second:06.3f} +0000] "{method} {path} HTTP/1.1" {status} 5 "-" "Agent/1"'


async def speak(reader, writer, server):
    """Answers by path (/404 with 404, /slow after two seconds); notes each request with its moment."""
    import asyncio

    while True:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        length = re.search(r"(?i)content-length: *(\d+)", head)
        body = await reader.readexactly(int(length.group(1))) if length else b""
        method, path, _ = head.split(" ", 2)
        headers = dict(entry.split(": ", 1) for entry in head.split("\r\n")[1:] if entry)
        server.seen.append((time.monotonic(), method, path, {k.lower(): v for k, v in headers.items()}, body))
        if path.startswith("/slow"):
            await asyncio.sleep(2)
        status = path[1:4] if path[1:4].isdigit() else "200"
        location = "Location: http://127.0.0.1:1/elsewhere\r\n" if status == "302" else ""
        writer.write(
            f"HTTP/1.1 {status} X\r\n{location}Set-Cookie: session=fresh\r\nContent-Length: 2\r\n\r\nok".encode()
        )


@pytest.fixture
def server(serve):
    server = serve("", speak)
    server.seen = []
    return server


@pytest.fixture
def log(tmp_path):
    def write(*lines, name="access.log"):
        (tmp_path / name).write_text("\n".join(lines))
        return tmp_path / name

    return write


@pytest.fixture
def replay(load, server):
    def replay(path, **settings):
        with load.replay(path, host=server.url, **settings) as traffic:
            traffic.wait(30)
        return traffic

    return replay


@pytest.mark.parametrize("speed", [1, 4])
def test_requests_come_at_their_recorded_moments(replay, server, log, speed):
    """In the intervals of the file, ``speed`` times as fast; and the load ends with the last of them."""
    moments = [0, 0.1, 0.5, 0.5, 1.2, 2]
    traffic = replay(log(*(line(10 + at, f"/{n}x") for n, at in enumerate(moments))), speed=speed)
    assert sorted(path for _, _, path, _, _ in server.seen) == [f"/{n}x" for n in range(6)]
    starts = [r.start for r in sorted(traffic.records())]
    assert [(start - starts[0]) / 1e9 for start in starts] == pytest.approx([at / speed for at in moments], abs=1e-3)
    sent = sorted((r.start, r.name, r.error) for r in traffic.records())
    assert [(name, error) for _, name, error in sent] == [(f"GET /{n}x", "") for n in range(6)]
    assert {headers["user-agent"] for *_, headers, _ in server.seen} == {"Agent/1"}
    assert not traffic.closed_loop
    assert traffic.finished


def test_a_slow_answer_holds_up_no_other_request(replay, server, log):
    """The loop is open: what was recorded later is sent at its moment, whatever is still under way."""
    traffic = replay(log(line(10, "/slow"), line(10.1, "/a"), line(10.2, "/b")))
    times = {path: at for at, _, path, _, _ in server.seen}
    assert times["/b"] - times["/slow"] < 0.45
    assert {r.name: r.latency >= 0.5 for r in traffic.records()} == {
        "GET /slow": True,
        "GET /a": False,
        "GET /b": False,
    }


def test_statuses_are_judged_by_what_was_recorded(replay, log):
    """A 404 that was a 404 is as it was; one that was a 200 is a failure; a redirect is not followed."""
    traffic = replay(log(line(10, "/404x", status=404), line(10.1, "/404y"), line(10.2, "/302x"), line(10.3, "/503x")))
    assert {r.name: r.error for r in traffic.records()} == {
        "GET /404x": "",
        "GET /404y": "HTTP 404",
        "GET /302x": "",
        "GET /503x": "HTTP 503",
    }
    assert {entry["status"] for entry in traffic.unexpected()} == {404, 503}


def test_what_is_left_out_is_told(replay, run, log):
    """By the load, and in the events of the run."""
    path = log(line(10), line(10.1, method="POST"), "GET /?token=hidden", line(10.2))
    traffic = replay(path)
    assert "  left out: 1 x POST, whose body no log holds" in traffic.recording.summary()
    [started] = [e for e in events.read(run.directory) if e["kind"] == "load.started"]
    assert started["replayed"] == {
        "requests": 2,
        "left_out": {"POST, whose body no log holds": 1},
        "malformed": 1,
    }
    assert started["arrivals"]["path"] == str(path)
    assert len(traffic.records()) == 2


HEADERS = [
    {"name": name, "value": value}
    for name, value in (
        ("Authorization", "Bearer hidden-1"),
        ("Cookie", "session=hidden-2"),
        ("X-Api-Key", "hidden-3"),
        ("Referer", "http://shop.example/?token=hidden-4"),
        ("Accept", "text/html"),
    )
]
HAR = json.dumps(
    {
        "log": {
            "version": "1.2",
            "entries": [
                {
                    "startedDateTime": f"2024-05-06T07:08:0{second}Z",
                    "request": {
                        "method": "POST",
                        "url": f"http://shop.example/buy?access_token=hidden-5&page={second}",
                        "headers": HEADERS,
                        "postData": {"mimeType": "application/json", "text": '{"a": 1}'},
                    },
                    "response": {"status": 200},
                }
                for second in (1, 2)
            ],
        }
    }
)


def left(run):
    """Everything that a run has written."""
    return "".join(path.read_bytes().decode("latin-1") for path in run.directory.rglob("*") if path.is_file())


def test_secrets_of_a_har_file_are_neither_sent_nor_written(replay, server, run, log):
    """Bodies and other headers are; and a cookie that the server sets is not sent back."""
    traffic = replay(log(HAR, name="x.har"), speed=10)
    for _, method, path, headers, body in server.seen:
        assert (method, body, headers["accept"]) == ("POST", b'{"a": 1}', "text/html")
        assert re.fullmatch(rf"/buy\?access_token={REDACTED}&page=\d", path)
        assert not {"authorization", "cookie", "x-api-key"} & set(headers)
        assert headers["referer"] == f"http://shop.example/?token={REDACTED}"
        assert headers["host"] == server.address
    assert {(r.name, r.error) for r in traffic.records()} == {("POST /buy", "")}
    assert len(server.seen) == 2
    assert "hidden" not in left(run)


def test_secrets_are_sent_when_they_are_asked_for_and_still_not_written(replay, server, run, log):
    replay(log(HAR.replace("/buy", "/503"), name="x.har"), speed=10, secrets=True)
    _, _, path, headers, _ = server.seen[0]
    assert path == "/503?access_token=hidden-5&page=1"
    assert headers["authorization"] == "Bearer hidden-1"
    assert headers["cookie"] == "session=hidden-2"
    assert "hidden" not in left(run)


def test_each_request_carries_its_trace_id(replay, server, log):
    """What a server noted can be found by what the load noted of an unexpected answer."""
    traffic = replay(log(line(10, "/503x"), line(10.1, "/a"), line(10.2, "/503x")))
    sent = [(path, headers["traceparent"]) for _, _, path, headers, _ in server.seen]
    assert all(re.fullmatch(r"00-[0-9a-f]{32}-[0-9a-f]{16}-01", header) for _, header in sent)
    assert len({header for _, header in sent}) == 3
    failed = {header[3:35] for path, header in sent if path == "/503x"}
    assert {entry["trace_id"] for entry in traffic.unexpected()} == failed


def test_methods_and_speed_are_checked_before_anything_starts(load, server, log):
    for settings, message in (
        ({"speed": 0}, "speed=0 is not possible"),
        ({"speed": "fast"}, "speed='fast' is not possible"),
        ({"methods": "POST"}, r"methods='POST' is one text; give a list"),
        ({"methods": ["PATCH"]}, "holds no request that could be sent"),
    ):
        with pytest.raises(ConfigurationError, match=message):
            load.replay(log(line(1)), host=server.url, **settings)
    with pytest.raises(ConfigurationError, match=r"cannot read .*none.log"):
        load.replay("none.log", host=server.url)


def test_the_locustfile_alone_tells_what_it_needs(load, server):
    """Without the file to replay there is nothing to send."""
    from pytest_enterprise.load.replayed import LOCUSTFILE

    with load(LOCUSTFILE, host=server.url, arrivals=20, seconds=0.3) as traffic:
        traffic.wait(10)
    assert server.seen == []


def parse(*arguments):
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    return parser.parse_args([str(argument) for argument in arguments])


def test_a_replay_from_the_command_line(server, log, tmp_path, capsys):
    """It says what it sends and what it leaves out, and ends with the last request."""
    path = log(line(10, "/a"), line(9, "/b", method="POST"), "not a line token=hidden", line(11, "/c?token=hidden"))
    options = ("--replay-speed", 4, "--replay-methods", "GET,POST", "--replay-sort")
    assert command.main(parse("--replay", path, "--host", server.url, "--reports", tmp_path / "r", *options)) == 0
    out = capsys.readouterr().out
    assert "access.log: 3 requests over 2.0 s" in out
    assert f"line 3: not a line token={REDACTED}" in out
    assert re.search(r"^POST /b +1 +0", out, re.MULTILINE)
    assert "hidden" not in out
    assert sorted(path for _, _, path, _, _ in server.seen) == ["/a", "/b", f"/c?token={REDACTED}"]


def test_mistakes_at_the_command_line_are_told(server, log):
    path = log(line(10), line(9))
    for given, message in (
        ((), "nothing to send; give a locustfile, --get PATH, --requests FILE or --replay FILE"),
        (("users.py", "--replay", path), "--replay is a load of its own; leave out the locustfile"),
        (("--get", "/", "--replay", path), "--replay is a load of its own"),
        (("--replay", path, "--arrivals", "5"), "--arrivals are not for a replay"),
        (("--replay", path), r"line 2 is 1\.000 s before line 1.*--replay-sort"),
    ):
        with pytest.raises(ConfigurationError, match=message):
            command.main(parse(*given, "--host", server.url))
