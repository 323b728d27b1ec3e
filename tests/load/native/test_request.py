"""Requests as data: what can be sent, what is drawn, and what is refused with a way out."""

from __future__ import annotations

import json
import uuid
from random import Random

import pytest

from pytest_enterprise.errors import ConfigurationError
from pytest_enterprise.load.native import grpc_call, postgres_query, redis_command
from pytest_enterprise.load.native.grpc_call import GrpcCall
from pytest_enterprise.load.native.kinds import KINDS
from pytest_enterprise.load.native.postgres_query import PostgresQuery
from pytest_enterprise.load.native.redis_command import RedisCommand
from pytest_enterprise.load.native.request import Expect, HttpRequest, from_document
from pytest_enterprise.load.native.template import Template, json_text


def drawn(text, count=300, seed=1):
    random = Random(seed)
    template = Template(text)
    return [template.render(random, number).decode() for number in range(count)]


def test_placeholders_draw_what_they_say():
    assert {int(text) for text in drawn("{int:-1:2}")} == {-1, 0, 1, 2}
    assert set(drawn("/{choice:a|b/c|}")) == {"/a", "/b/c", "/"}
    assert drawn("n={seq}", 3) == ["n=0", "n=1", "n=2"]
    assert {len(text) for text in drawn("{hex:5}")} == {5}
    found = {uuid.UUID(text) for text in drawn("{uuid}")}
    assert len(found) == 300
    assert {(one.version, one.variant) for one in found} == {(4, uuid.RFC_4122)}


def test_what_is_drawn_follows_from_the_seed():
    text = "{int:1:1000000} {uuid} {hex:16}"
    assert drawn(text) == drawn(text)
    assert not set(drawn(text)) & set(drawn(text, seed=2))


def test_a_doubled_brace_is_a_brace_and_other_braces_are_left_alone():
    assert Template('{{int:1:2} {} { a } {"a": {1}}').fixed == b'{int:1:2} {} { a } {"a": {1}}'


def test_json_stays_json_and_numbers_become_numbers():
    value = {"n": "{int:5:5}", "text": "n={int:5:5}", "list": ["{seq}", {"{seq}": 'a"ü'}], "none": None}
    text = Template(json_text(value)).render(Random(1), 7)
    assert json.loads(text) == {"n": 5, "text": "n=5", "list": [7, {"7": 'a"ü'}], "none": None}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{itn:1:2}", r"placeholder {itn:1:2}: there is no 'itn'. Did you mean 'int'.* Write {{itn:1:2} for the text"),
        ("{int}", r"placeholder {int} cannot be drawn; write {int:LOWEST:HIGHEST}"),
        ("{int:2:1}", "cannot be drawn"),
        ("{int:a:b}", "cannot be drawn"),
        ("{choice:}", r"write {choice:red"),
        ("{hex:0}", "from 1 to 1024"),
        ("{uuid:4}", r"write {uuid}"),
        ("{seq:4}", r"write {seq}"),
    ],
)
def test_placeholders_that_cannot_be_are_told(text, message):
    with pytest.raises(ConfigurationError, match=message):
        HttpRequest("POST", "/", json={"deep": [text]})


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: HttpRequest("GE T", "/"), "method='GE T' is none of HTTP"),
        (lambda: HttpRequest("GET", "tasks"), "path='tasks' is no path; begin it with /"),
        (lambda: HttpRequest("GET", "/a b"), "is no path"),
        (lambda: HttpRequest("GET", "/ü"), "percent-encode"),
        (lambda: HttpRequest("GET", "/", headers={"a": "b\r\nc: d"}), "cannot be sent"),
        (lambda: HttpRequest("GET", "/", headers={"Content-Length": "1"}), "cannot be sent"),
        (lambda: HttpRequest("GET", "/", json={}, body="a"), "has both json and body"),
        (lambda: HttpRequest("GET", "/", json={1, 2}), "cannot be written as JSON"),
        (lambda: HttpRequest("GET", "/", weight=0), "weight=0 is out of range"),
        (lambda: Expect(status=99), "status=99 is none of HTTP"),
        (lambda: Expect(status=(200, "201")), "status='201' is none of HTTP"),
        (lambda: Expect(max_bytes=-1), "max_bytes=-1 is out of range"),
        (lambda: Expect(sha256="abc"), "sha256='abc' is no SHA-256"),
        (lambda: Expect(sha256=5), "sha256=5 is no SHA-256"),
        (lambda: from_document({"path": "/", "pth": 1}), "no setting 'pth'. Did you mean 'path'"),
        (lambda: from_document({"method": "GET"}), "has no path"),
        (lambda: from_document({"path": "/", "expect": {"sttus": 200}}), "expect: there is no setting 'sttus'"),
        (lambda: from_document("/"), "request '/' is no object"),
    ],
)
def test_what_cannot_be_meant_is_refused(make, message):
    with pytest.raises(ConfigurationError, match=message):
        make()


def test_a_request_is_data():
    request = HttpRequest(
        "POST",
        "/tasks/{int:1:9}",
        json={"a": ["{uuid}"]},
        headers={"X": "y"},
        weight=3,
        expect=Expect(status=(200, 201), contains="a", json={"b.0": 1}, max_bytes=10),
    )
    again = from_document(json.loads(json.dumps(request.document())))
    assert again == request
    assert again.name == "POST /tasks/{int:1:9}"
    assert from_document({"path": "/"}) == HttpRequest("GET", "/")


@pytest.mark.parametrize(
    "request_",
    [
        RedisCommand("SET", "a/{int:1:9}", 1.5, b"x", name="set", weight=2, expect=["OK", [b"1", 2]]),
        PostgresQuery("SELECT %s", ["{seq}"], name="n", weight=2, expect=[["a", None, 3, True]]),
        PostgresQuery("UPDATE t SET a = %s, b = %s", [None, False], expect=0),
        GrpcCall("/a.B/C", [b"a", b"\xff"], metadata={"who": "{hex:4}"}, name="c", weight=2, expect=b"\xfe"),
        GrpcCall("/a.B/C", "n={int:1:9}", expect="n"),
        GrpcCall("/a.B/C", b"\x08\x01"),
    ],
    ids=repr,
)
def test_requests_of_every_protocol_are_data(request_):
    """What the engine is told is JSON, and means the same to it."""
    kind = next(kind for kind in KINDS.values() if isinstance(request_, kind.request))
    document = request_.document()
    again = kind.from_document(json.loads(json.dumps(document)))
    assert again.document() == document
    assert (again.name, again.weight) == (request_.name, request_.weight)
    assert set(document) <= {"words", "statement", "parameters", "method", "message", "base64", "metadata"} | {
        "name",
        "weight",
        "expect",
    }


def test_requests_are_named_as_locusts_users_name_them():
    assert RedisCommand("get", "a").name == "Redis GET"
    assert PostgresQuery("  select 1").name == "PostgreSQL SELECT"
    assert GrpcCall("/a.B/C").name == "gRPC /a.B/C"


def test_places_of_parameters_are_numbered_as_the_server_has_them():
    assert PostgresQuery("SELECT %s, '5 %%', %s", ["a", "b"]).numbered == "SELECT $1, '5 %', $2"
    assert PostgresQuery("SELECT '5 %' LIKE '%s'").numbered == "SELECT '5 %' LIKE '%s'", "nothing to place"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: RedisCommand(), r'is none; write RedisCommand\("GET", "key"\)'),
        (lambda: RedisCommand("GET", None), "None cannot be sent"),
        (lambda: RedisCommand("GET", b"\xff"), "is no text; only UTF-8 can be sent"),
        (lambda: RedisCommand("GET", "{itn:1:2}"), "Did you mean 'int'"),
        (lambda: RedisCommand("subscribe", "news"), "SUBSCRIBE changes the connection"),
        (lambda: RedisCommand("SELECT", 3), "the host's URL says who logs in and to which database"),
        (lambda: RedisCommand("GET", "a", weight=-1), "weight=-1 is out of range"),
        (lambda: RedisCommand("GET", "a", expect=1.5), "expect=1.5 is no reply"),
        (lambda: redis_command.from_document({"command": "GET"}), r'write {"words": \["GET", "key"\]}'),
        (lambda: redis_command.from_document({"words": ["GET"], "expct": 1}), "Did you mean 'expect'"),
        (lambda: PostgresQuery(" "), r'is none; write PostgresQuery\("SELECT 1"\)'),
        (lambda: PostgresQuery(b"SELECT 1"), "is none"),
        (lambda: PostgresQuery("begin"), "BEGIN changes the connection"),
        (lambda: PostgresQuery("COPY t TO STDOUT"), "each statement here is a transaction of its own"),
        (lambda: PostgresQuery("SELECT %s, %s", ["a"]), r"places for 2 parameters \(%s\) and is given 1"),
        (lambda: PostgresQuery("SELECT %d", [1]), "'%d' is no place for a parameter"),
        (lambda: PostgresQuery("SELECT 5 %", [1]), "'%' is no place for a parameter"),
        (lambda: PostgresQuery("SELECT %s", "a"), "parameters='a' are no list"),
        (lambda: PostgresQuery("SELECT %s", [{}]), r"parameter {} cannot be sent"),
        (lambda: PostgresQuery("SELECT %s", ["a\0"]), "zero byte"),
        (lambda: PostgresQuery("SELECT %s", ["{int}"]), "write {int:LOWEST:HIGHEST}"),
        (lambda: PostgresQuery("SELECT 1", expect=-1), "expect=-1 is no answer"),
        (lambda: PostgresQuery("SELECT 1", expect=[1]), "a list of rows"),
        (lambda: postgres_query.from_document({"sql": "SELECT 1"}), 'write {"statement": "SELECT 1"}'),
        (lambda: GrpcCall("shop.Orders/Add"), "is no method; write /PACKAGE.SERVICE/METHOD"),
        (lambda: GrpcCall("/a.B/C", 5), "message=5 is none"),
        (lambda: GrpcCall("/a.B/C", []), "message=\\[\\] is none"),
        (lambda: GrpcCall("/a.B/C", [b"a", "b"]), "is none; give bytes, a list of bytes, or a text"),
        (lambda: GrpcCall("/a.B/C", metadata={"Who": "me"}), "metadata 'Who' cannot be sent"),
        (lambda: GrpcCall("/a.B/C", metadata={"grpc-timeout": "1S"}), "cannot be sent"),
        (lambda: GrpcCall("/a.B/C", metadata={"who": "ü"}), "give plain ASCII"),
        (lambda: GrpcCall("/a.B/C", expect=5), "expect=5 is no answer"),
        (lambda: grpc_call.from_document({"method": "/a.B/C", "base64": "?"}), "'\\?' is no base64"),
        (lambda: grpc_call.from_document({"method": "/a.B/C", "base64": "", "message": ""}), "both message and base64"),
    ],
)
def test_what_no_server_could_be_asked_is_refused(make, message):
    with pytest.raises(ConfigurationError, match=message):
        make()
