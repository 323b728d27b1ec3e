"""Requests as data: what can be sent, what is drawn, and what is refused with a way out."""

from __future__ import annotations

import json
import uuid
from random import Random

import pytest

from pytest_enterprise.errors import ConfigurationError
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
