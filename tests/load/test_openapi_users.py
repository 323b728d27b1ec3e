"""Users made from OpenAPI descriptions, against servers that keep to them and servers that do not."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import urllib.request
from collections import Counter

import pytest
import yaml
from starlette.applications import Starlette
from starlette.responses import JSONResponse, PlainTextResponse
from starlette.routing import Route

from pytest_enterprise.errors import ConfigurationError
from pytest_enterprise.load import openapi

ITEM = {
    "type": "object",
    "required": ["name"],
    "properties": {"name": {"type": "string", "pattern": "^[a-z]+$"}, "price": {"type": "number", "minimum": 0}},
}
IDENTIFIER = {"name": "id", "in": "path", "required": True, "schema": {"type": "integer", "minimum": 1, "maximum": 9}}
SHOP = {
    "openapi": "3.0.3",
    "info": {"title": "shop", "version": "1"},
    "servers": [{"url": "https://shop.example/v1"}],
    "paths": {
        "/items": {
            "post": {
                "operationId": "addItem",
                "tags": ["writing"],
                "requestBody": {
                    "required": True,
                    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/item"}}},
                },
                "responses": {"201": {"description": "made"}, "4XX": {"description": "refused"}},
            }
        },
        "/items/{id}": {
            "get": {
                "operationId": "getItem",
                "tags": ["reading"],
                "parameters": [IDENTIFIER, {"name": "full", "in": "query", "schema": {"type": "boolean"}}],
                "responses": {
                    "200": {
                        "description": "found",
                        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/item"}}},
                    }
                },
            },
            "delete": {"parameters": [IDENTIFIER], "responses": {"default": {"description": "gone"}}},
        },
    },
    "components": {"schemas": {"item": ITEM}},
}

USERS = """
from pytest_enterprise.load.openapi_users import openapi_user

Shop = openapi_user({source!r}, rate=60{more})
"""


class Shop:
    """A server that notes what it is sent, and answers rightly unless it is told otherwise."""

    def __init__(self, serve_app):
        self.status, self.body = 0, None
        self.seen = []
        self.documents = {"/openapi.json": SHOP}
        self.url = f"http://{serve_app(Starlette(routes=[Route('/{path:path}', self.answer, methods=METHODS)]))}"

    async def answer(self, request):
        if request.url.path in self.documents:
            return JSONResponse(self.documents[request.url.path])
        self.seen.append((request.method, request.url.path, dict(request.query_params), await request.body()))
        self.headers = request.headers
        item = {"name": "chair", "price": 3} if self.body is None else self.body
        status = self.status or {"POST": 201, "DELETE": 204}.get(request.method, 200)
        return PlainTextResponse("", status) if status == 204 else JSONResponse(item, status)


METHODS = ["GET", "POST", "DELETE"]


@pytest.fixture
def shop(serve_app):
    return Shop(serve_app)


@pytest.fixture
def description(tmp_path):
    def write(document=SHOP, name="shop.json"):
        path = tmp_path / name
        path.write_text(yaml.safe_dump(document) if name.endswith("yaml") else json.dumps(document))
        return str(path)

    return write


@pytest.fixture
def use(shop, load, locustfile, description):
    def use(more="", source=None, requests=30, seed=None):
        path = locustfile(USERS.format(source=source or description(), more=more))
        with load(path, users=2, host=shop.url, seed=seed) as traffic:
            traffic.wait_for_requests(requests)
        return traffic

    return use


def errors(traffic):
    return {(r.name, r.error) for r in traffic.records()}


def test_each_operation_is_a_task(use, shop):
    """Requests fit the description, lie below the path of its server, and go to the load's host alone."""
    assert errors(use()) == {("POST /items", ""), ("GET /items/{id}", ""), ("DELETE /items/{id}", "")}
    assert {path.rpartition("/")[0] for _, path, _, _ in shop.seen} == {"/v1", "/v1/items"}
    bodies = [json.loads(body) for method, _, _, body in shop.seen if method == "POST"]
    assert all(body["name"].strip().isalpha() and body.get("price", 0) >= 0 for body in bodies)
    assert len({str(body) for body in bodies}) > 2
    assert all(1 <= int(path.rpartition("/")[2]) <= 9 for method, path, _, _ in shop.seen if method == "GET")
    assert {query.get("full") for method, _, query, _ in shop.seen if method == "GET"} <= {None, "true", "false"}


def test_the_same_seed_makes_the_same_requests(description):
    """What is sent follows from the seed, so that a run can be repeated."""

    def made(seed):
        return [operation.cases for operation in openapi.operations(description(), seed=seed, cases=10)]

    assert made(1) == made(1) != made(2)


def test_the_seed_of_a_load_is_that_of_its_requests(use, shop):
    """Without a seed of its own, the class follows the load's."""
    more = ', include=["addItem"], cases=5'
    sent = []
    for seed in (1, 1, 2):
        shop.seen.clear()
        use(more, requests=30, seed=seed)
        sent.append({body for *_, body in shop.seen})
    assert sent[0] == sent[1] != sent[2]


def test_operations_can_be_weighed_and_left_out(use, shop):
    """By label, operationId or tag, with wildcards; the last weight that fits counts."""
    use(', exclude=["DELETE *"], weights={"*": 1, "reading": 9}', requests=80)
    counts = Counter(method for method, *_ in shop.seen)
    assert set(counts) == {"GET", "POST"}
    assert counts["GET"] > 3 * counts["POST"]
    shop.seen.clear()
    use(', include=["addItem", "getItem"], weights={"getItem": 0}', requests=5)
    assert {method for method, *_ in shop.seen} == {"POST"}


def test_headers_are_sent_with_each_request(use, shop):
    """For a service that wants to know who asks."""
    use(', include=["getItem"], headers={"Authorization": "Bearer x"}', requests=2)
    assert shop.headers["authorization"] == "Bearer x"


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (404, "HTTP 404, which is not declared"),
        (503, "HTTP 503"),
        (302, "wrong: HTTP 302, which is not declared"),
    ],
)
def test_a_status_that_is_not_declared_is_a_failure(use, shop, status, error):
    """So is every one from 500; a declared refusal is none, of a class of statuses or by default."""
    shop.status = status
    traffic = use(', include=["getItem", "addItem"]')
    good = "" if status == 404 else error
    assert errors(traffic) == {("GET /items/{id}", error), ("POST /items", good)}
    assert {line["status"] for line in traffic.unexpected()} == {status}
    assert all(len(line["sha256"]) == 64 for line in traffic.unexpected())


@pytest.mark.parametrize(
    ("more", "error"), [("", ""), (", conform=True", "wrong: the answer does not conform to its schema")]
)
def test_answers_may_have_to_conform_to_their_schema(use, shop, more, error):
    """Only where that is asked for."""
    shop.body = {"price": "dear"}
    assert errors(use(f', include=["getItem"]{more}', requests=5)) == {("GET /items/{id}", error)}


def test_answers_that_conform_are_good(use):
    assert {error for _, error in errors(use(", conform=True"))} == {""}


def test_a_description_may_be_yaml_or_come_from_this_machine(description, shop):
    for source in (description(name="shop.yaml"), f"{shop.url}/openapi.json"):
        assert len(openapi.operations(source, seed=1, cases=1)) == 3


def test_a_request_that_gets_no_answer_is_recorded_as_such(serve, load, locustfile, description):
    path = locustfile(USERS.format(source=description(), more=', include=["getItem"]'))
    with load(path, users=1, host=serve("close").url) as traffic:
        traffic.wait_for_requests(3)
    assert errors(traffic) == {("GET /items/{id}", "HTTPConnectionClosed")}


def variant(**changes):
    return {**SHOP, **changes}


OUTSIDE = {"/x": {"get": {"responses": {"200": {"$ref": "https://other.example/a.yaml#/x"}}}}}
IMPOSSIBLE = {"name": "q", "in": "query", "required": True, "schema": {"type": "integer", "minimum": 2, "maximum": 1}}


@pytest.mark.parametrize(
    ("document", "settings", "message"),
    [
        (variant(openapi="2.0"), {}, r"openapi='2.0'; give a description of OpenAPI 3"),
        ({"swagger": "2.0"}, {}, r"openapi='2.0'"),
        (variant(paths=OUTSIDE), {}, r"\$ref 'https://other.example/a.yaml#/x' leads out of the file; bundle it"),
        (variant(paths={}), {}, r"no operation is left to send. It has: none"),
        (SHOP, {"exclude": ["*"]}, r"no operation is left to send. It has: DELETE /items/\{id\}, GET"),
        (SHOP, {"exclude": ["getItm"]}, r"has no operation 'getItm'. Did you mean 'getItem'"),
        (SHOP, {"weights": {"getItem": -1}}, r"weights: 'getItem': -1 is no weight; give a whole number from 0"),
        (
            variant(paths={"/x": {"get": {"parameters": [IMPOSSIBLE], "responses": {"200": {"description": ""}}}}}),
            {},
            r"no request can be made for GET /x: .*exclude=\['GET /x'\]",
        ),
    ],
)
def test_a_description_that_cannot_be_used_is_told(description, document, settings, message):
    with pytest.raises(ConfigurationError, match=rf"(?s){message}"):
        openapi.operations(description(document), seed=1, cases=2, **settings)


def test_a_description_that_cannot_be_read_is_told(tmp_path):
    (tmp_path / "bad.json").write_text("{")
    (tmp_path / "bad.yaml").write_text("a: [")
    for source, message in (
        (tmp_path / "none.json", "cannot read the OpenAPI description"),
        (tmp_path / "bad.json", "bad.json is no OpenAPI description: Expecting"),
        (tmp_path / "bad.yaml", "bad.yaml is no OpenAPI description: while parsing"),
        ("https://shop.example/openapi.json", "is not on this machine; save it as a file"),
    ):
        with pytest.raises(ConfigurationError, match=message):
            openapi.document(source)


def test_a_mistake_is_told_when_the_load_begins(load, locustfile, description):
    """With the line of the locustfile."""
    path = locustfile(USERS.format(source=description(), more=', include=["getItm"]'))
    with pytest.raises(ConfigurationError, match=r"(?s)raised ConfigurationError.*no operation 'getItm'.*users.py:4"):
        load(path, users=1, host="http://127.0.0.1:1").begin()


@pytest.fixture
def proxy(run):
    """The project's own fault proxy, by the description that it serves."""
    port = run.ports.take()
    process = subprocess.Popen((sys.executable, "-m", "pytest_enterprise.proxy", "-port", str(port)))
    url = f"http://127.0.0.1:{port}"
    end = time.monotonic() + 10
    while True:
        try:
            urllib.request.urlopen(f"{url}/version", timeout=5).close()
            break
        except OSError:
            assert time.monotonic() < end, "the proxy did not start"
            time.sleep(0.05)
    yield url
    process.terminate()
    process.wait(10)


def test_the_fault_proxy_keeps_to_its_description(proxy, load, locustfile):
    """A real service under a load made from nothing but its own description."""
    more = ', exclude=["POST /enterprise/proxies", "POST /enterprise/tunnels"], conform=True'
    path = locustfile(USERS.format(source=f"{proxy}/enterprise/openapi.json", more=more))
    with load(path, users=3, host=proxy) as traffic:
        traffic.wait_for_requests(150)
    assert {r.error for r in traffic.records()} == {""}
    assert len({r.name for r in traffic.records()}) == 6
