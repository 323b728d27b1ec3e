"""Access logs and HAR files: what is read, what is left out, and what cannot be read is told."""

from __future__ import annotations

import gzip
import json

import pytest

from pytest_enterprise.errors import ConfigurationError
from pytest_enterprise.load import recorded
from pytest_enterprise.load.redaction import REDACTED, is_secret, redact_query, redact_text

COMMON = '127.0.0.1 - frank [10/Oct/2000:13:55:36 -0700] "GET /index.html HTTP/1.0" 200 2326'
COMBINED = f'{COMMON} "http://other.example/?token=abc" "Mozilla/4.08 [en] (Win98; I)"'
AGENT = (("User-Agent", "Mozilla/4.08 [en] (Win98; I)"),)
ENVOY = (
    '[2016-04-15T20:17:00.310Z] "POST /api/v1/locations HTTP/2" 204 - 154 0 226 100 "10.0.35.28" "nsq2http" '
    '"cc21d9b0-cf5c-432b-8c7e-98aeb7988cd2" "locations" "tcp://10.0.2.1:80"'
)
ENVOY_NEW = (
    '[2024-01-02T03:04:05.678Z] "GET /a?b=1 HTTP/1.1" 503 UF upstream_reset_before_response_started{x} - "-" 0 91 3 - '
    '"-" "curl/8" "id" "host:80" "10.0.0.1:80" inbound|80|| - 10.0.0.2:80 10.0.0.3:1 - default'
)


@pytest.fixture
def file(tmp_path):
    def write(*lines, name="access.log"):
        path = tmp_path / name
        data = "\n".join(lines).encode()
        path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
        return path

    return write


def har(*requests, started=0.0):
    """A HAR document of (seconds, request, status)."""
    entries = [
        {
            "startedDateTime": f"2024-05-06T07:08:{seconds:06.3f}+00:00",
            "request": {"method": "GET", "headers": [], **request},
            "response": {"status": status},
        }
        for seconds, request, status in requests
    ]
    return json.dumps({"log": {"version": "1.2", "entries": entries}})


def at(second, path="/", method="GET"):
    return f'1.2.3.4 - - [10/Oct/2000:13:55:{second:02d} +0000] "{method} {path} HTTP/1.1" 200 5'


@pytest.mark.parametrize(
    ("line", "moment", "target", "status", "headers"),
    [
        (COMMON, 971211336.0, "/index.html", 200, ()),
        (COMBINED, 971211336.0, "/index.html", 200, AGENT),
        (f"shop.example:80 {COMBINED}", 971211336.0, "/index.html", 200, AGENT),
        (f"{COMBINED} 0.004 upstream", 971211336.0, "/index.html", 200, AGENT),
        (ENVOY_NEW, 1704164645.678, "/a?b=1", 503, ()),
        ('::1 - - [01/Jan/2024:00:00:00.250 +0530] "HEAD /%7Ea HTTP/2.0" 304 -', 1704047400.25, "/%7Ea", 304, ()),
        ('1.1.1.1 - - [01/Jan/2024:00:00:00 +0000] "GET /a\\"b\\x20c HTTP/1.1" 200 1', None, None, None, None),
        ('1.1.1.1 - - [01/Jan/2024:00:00:00 +0000] "GET /a\\"b HTTP/1.1" 200 1', 1704067200.0, '/a"b', 200, ()),
        ('1.1.1.1 - - [01/Jan/2024:00:00:00 +0000] "GET /é HTTP/1.1" 200 1', 1704067200.0, "/%C3%A9", 200, ()),
        ('1.1.1.1 - a b [01/Jan/2024:00:00:00 +0000] "GET / HTTP/1.1" 200 1', 1704067200.0, "/", 200, ()),
        (
            '1.1.1.1 - - [01/Jan/2024:00:00:00 +0000] "GET http://evil/x?y HTTP/1.1" 200 1',
            1704067200.0,
            "/x?y",
            200,
            (),
        ),
    ],
)
def test_lines_of_each_format(file, line, moment, target, status, headers):
    """Times with their zone, targets without their host, and the user agent where the log has it."""
    if moment is None:  # a space within a target is no request
        with pytest.raises(ConfigurationError, match="could not be read: 1 line"):
            recorded.read(file(line))
        return
    [entry] = recorded.read(file(line)).entries
    assert entry.moment == pytest.approx(moment, abs=1e-6)
    assert (entry.target, entry.status, entry.headers, entry.place) == (target, status, headers, 1)


def test_methods_with_bodies_are_left_out_unless_asked_for(file):
    """A log holds no bodies; what is left out is counted by method."""
    path = file(
        at(1), at(1, method="POST"), at(2, method="POST"), ENVOY.replace("2016", "2000-10-10T13:55:09Z")[:0] + at(3)
    )
    recording = recorded.read(path)
    assert [entry.method for entry in recording.entries] == ["GET", "GET"]
    assert recording.skipped == {"POST, whose body no log holds": 2}
    assert "  left out: 2 x POST, whose body no log holds" in recording.summary()
    assert [e.method for e in recorded.read(path, methods=["post"]).entries] == ["POST", "POST"]
    assert [e.method for e in recorded.read(file(ENVOY), methods=["POST"]).entries] == ["POST"]


def test_lines_that_cannot_be_read_are_named_and_counted(file):
    """With number and content, without the secrets in it, and never silently dropped."""
    bad = '1.2.3.4 - - [10/Oct/2000:13:55:36 -0700] "\\x16\\x03 token=abc123" 400 0'
    times = '1.2.3.4 - - [10/Okt/2000:13:55:36 -0700] "GET / HTTP/1.1" 200 0'
    recording = recorded.read(file(at(1), bad, "", "# a comment", times, "x" * 500, *["bad"] * 10, at(2)))
    assert len(recording.entries) == 2
    assert recording.malformed_count == 13
    assert [number for number, _ in recording.malformed] == [2, 5, 6, 7, 8]
    shown = "\n".join(recording.summary())
    assert "could not be read: 13 lines" in shown
    assert f'line 2: 1.2.3.4 - - [10/Oct/2000:13:55:36 -0700] "\\x16\\x03 token={REDACTED}' in shown
    assert "abc123" not in shown
    assert all(len(text) <= 160 for _, text in recording.malformed)


def test_times_out_of_order_are_refused_or_sorted(file):
    """The line, how far it is off, and the way out; sorted, the order of the times is that of the requests."""
    path = file(at(5, "/a"), at(9, "/b"), at(7, "/c"))
    with pytest.raises(ConfigurationError, match=r"access.log: line 3 is 2.000 s before line 2.*sort=True"):
        recorded.read(path)
    assert [entry.target for entry in recorded.read(path, sort=True).entries] == ["/a", "/c", "/b"]


def test_requests_of_one_second_are_spread_over_it(file):
    """Most logs have times in whole seconds: their requests did not come in bursts."""
    recording = recorded.read(file(at(1), at(1), at(1), at(1), at(2), at(4), at(4)))
    began = recording.entries[0].moment
    assert [entry.moment - began for entry in recording.entries] == [0, 0.25, 0.5, 0.75, 1, 3, 3.5]
    assert list(recording.trace(2).times(None)) == [0, 0.125, 0.25, 0.375, 0.5, 1.5, 1.75]


def test_a_packed_log_is_unpacked(file):
    assert len(recorded.read(file(at(1), at(2), name="access.log.1.gz")).entries) == 2


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/users/12/orders?x=1", "/users/{id}/orders"),
        ("/f/3f2504e0-4f89-11d3-9a0c-0305e82c3301", "/f/{id}"),
        ("/reset/aVeryLongTokenThatNobodyMaySee", "/reset/{id}"),
        ("/static/app.css", "/static/app.css"),
        ("/", "/"),
    ],
)
def test_names_have_neither_identifiers_nor_queries(file, path, name):
    [entry] = recorded.read(file(at(1, path))).entries
    assert entry.name == name


def test_a_har_file_is_read_with_bodies_and_headers(file):
    """Those that belong to the connection, or to HTTP/2, are made anew."""
    headers = [
        {"name": ":authority", "value": "shop.example"},
        {"name": "Host", "value": "shop.example"},
        {"name": "Content-Length", "value": "99"},
        {"name": "Accept", "value": "text/html"},
        {"name": "Cookie", "value": "session=1"},
    ]
    form = {"mimeType": "application/x-www-form-urlencoded", "params": [{"name": "x", "value": "1 2"}]}
    packed = {"mimeType": "", "text": "AP8=", "encoding": "base64"}
    text = har(
        (1, {"url": "https://shop.example/a?b=1#c", "headers": headers}, 200),
        (1.5, {"method": "POST", "url": "https://shop.example/b", "postData": {"mimeType": "a/b", "text": "é"}}, 201),
        (2.25, {"method": "put", "url": "https://u:p@shop.example", "postData": form}, 0),
        (3, {"method": "PUT", "url": "https://shop.example/d", "postData": packed}, 200),
    )
    first, second, third, fourth = recorded.read(file(text, name="x.har")).entries
    assert (first.method, first.target, first.status) == ("GET", "/a?b=1", 200)
    assert first.headers == (("Accept", "text/html"), ("Cookie", "session=1"))
    assert (second.body, second.headers) == ("é".encode(), (("Content-Type", "a/b"),))
    assert second.moment - first.moment == 0.5
    assert (third.method, third.target, third.body) == ("PUT", "/", b"x=1+2")
    assert third.headers == (("Content-Type", "application/x-www-form-urlencoded"),)
    assert fourth.body == b"\x00\xff"


def test_a_har_file_is_replayed_for_one_host(file):
    """That of its first request, or one that is named; the others, and other protocols, are told."""
    text = har(
        (1, {"url": "https://shop.example/a"}, 200),
        (2, {"url": "https://cdn.example/b"}, 200),
        (3, {"url": "https://cdn.example/c"}, 200),
        (4, {"url": "wss://shop.example/d"}, 101),
        (5, {"url": "https://shop.example/e"}, 200),
    )
    path = file(text, name="x.har")
    recording = recorded.read(path)
    assert [entry.target for entry in recording.entries] == ["/a", "/e"]
    assert recording.skipped == {
        "requests to another host (cdn.example)": 2,
        "wss: addresses, which are no HTTP": 1,
    }
    assert [entry.target for entry in recorded.read(path, origin="cdn.example").entries] == ["/b", "/c"]
    with pytest.raises(ConfigurationError, match=r"entry 2 is 1\.000 s before entry 1"):
        recorded.read(file(har((2, {"url": "http://a/"}, 200), (1, {"url": "http://a/"}, 200)), name="y.har"))


@pytest.mark.parametrize(
    "request_",
    [
        {"url": None},
        {"url": "http://shop.example/", "method": "GET /x HTTP/1.1\r\nX: y"},
        {"url": "http://shop.example/", "headers": [{"name": "X", "value": "a\r\nEvil: b"}]},
        {"url": "http://shop.example/", "headers": 5},
        {"url": "http://shop.example/", "postData": {"text": "%", "encoding": "base64"}},
        {"url": "http:///nowhere"},
    ],
)
def test_entries_that_cannot_be_read_are_named_and_counted(file, request_):
    text = har((1, {"url": "http://shop.example/a"}, 200), (2, request_, 200))
    recording = recorded.read(file(text, name="x.har"))
    assert len(recording.entries) == 1
    assert [number for number, _ in recording.malformed] == [2]
    assert "could not be read: 1 entry" in "\n".join(recording.summary())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", r"is no HAR file: it is not JSON: Expecting"),
        ('{"log": {}}', r"is no HAR file: it has no list log.entries"),
        ('{"log": {"entries": []}}', r"holds no request that could be sent"),
        ("", r"holds no request that could be sent. Give an access log \(common, combined or Envoy's format\)"),
        (at(1, method="DELETE"), r"methods=\[...\] takes others\.\n  left out: 1 x DELETE"),
    ],
)
def test_a_file_with_nothing_to_send_is_refused(file, text, message):
    with pytest.raises(ConfigurationError, match=message):
        recorded.read(file(text))


def test_a_file_that_cannot_be_read_is_told(tmp_path):
    with pytest.raises(ConfigurationError, match=r"cannot read .*none.log: No such file"):
        recorded.read(tmp_path / "none.log")
    (tmp_path / "x.gz").write_bytes(b"not packed")
    with pytest.raises(ConfigurationError, match=r"cannot read .*x.gz: Not a gzipped file"):
        recorded.read(tmp_path / "x.gz")


@pytest.mark.parametrize("name", ["Authorization", "COOKIE", "X-Api-Key", "access_token", "csrf-token", "sig", "key"])
def test_names_of_secrets(name):
    assert is_secret(name)


@pytest.mark.parametrize("name", ["Accept", "page", "monkey", "keyboard", "design", "Content-Type", "insider"])
def test_names_that_are_none(name):
    assert not is_secret(name)


@pytest.mark.parametrize(
    ("text", "redacted"),
    [
        ("/a?token=x&page=2&api_key=y", f"/a?token={REDACTED}&page=2&api_key={REDACTED}"),
        ("/a?x=eyJhbGciOi.eyJzdWIi.sig", f"/a?x={REDACTED}"),
        ("/token=x", "/token=x"),
    ],
)
def test_queries_are_redacted(text, redacted):
    assert redact_query(text) == redacted


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("Authorization: Bearer abcdefgh", "abcdefgh"),
        ("cookie: a=1; b=hidden", "hidden"),
        ('{"Set-Cookie": "sid=hidden; Path=/", "x": 1}', "hidden"),
        ("x-api-key=hidden", "hidden"),
        ("GET http://user:hidden@host/ HTTP/1.1", "hidden"),
        ('"GET /a?password=hidden HTTP/1.1" 200', "hidden"),
        ("a bearer hidden-token", "hidden"),
    ],
)
def test_texts_are_redacted(text, secret):
    assert secret not in redact_text(text)
    assert REDACTED in redact_text(text)
