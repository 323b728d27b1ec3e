"""The interface below ``/enterprise/`` as an OpenAPI document, made from the same tables that check requests."""

from __future__ import annotations

from typing import Any

from pytest_enterprise import __version__
from pytest_enterprise.proxy.conditions import Conditions
from pytest_enterprise.proxy.toxics import KINDS
from pytest_enterprise.proxy.toxics.base import Stage

Schema = dict[str, Any]
_LARGEST = 2**63 - 1


def _value(read: type, *, fraction: bool = False) -> Schema:
    if read is str:
        return {"type": "string"}
    if read is float:
        return {"type": "number", "minimum": 0, "maximum": 1}
    return {"type": "number" if fraction else "integer", "minimum": 0, "maximum": 3e38 if fraction else _LARGEST}


def _object(properties: Schema, *required: str) -> Schema:
    made: Schema = {"type": "object", "properties": properties, "additionalProperties": False}
    return {**made, "required": list(required)} if required else made


def _toxic(kind: type[Stage]) -> Schema:
    fields = {name: _value(read, fraction=name in kind.fractional) for name, read in kind.fields.items()}
    conditions = {name: _value(read) for name, read in Conditions.FIELDS.items()}
    return _object(
        {
            "type": {"const": kind.kind},
            "name": {"type": "string"},
            "stream": {"enum": ["upstream", "downstream"]},
            "toxicity": {"type": "number", "minimum": 0, "maximum": 1},
            "attributes": _object(fields),
            "when": _object(conditions),
        },
        "type",
    )


_REFUSALS = {
    "400": "cannot be meant",
    "404": "no proxy of that name",
    "409": "there already",
    "413": "too large",
    "500": "cannot listen",
}


def _operation(summary: str, body: Schema | None, *good: str, name: bool = False) -> Schema:
    error = {"text/plain": {"schema": {"$ref": "#/components/schemas/error"}}}
    made: Schema = {
        "summary": summary,
        "responses": {
            **{status: {"description": "done", "content": {"application/json": {}}} for status in good},
            **{status: {"description": what, "content": error} for status, what in _REFUSALS.items()},
        },
    }
    if body is not None:
        made["requestBody"] = {"required": True, "content": {"application/json": {"schema": body}}}
    if name:
        made["parameters"] = [
            {"name": "name", "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
        ]
    return made


def document() -> Schema:
    """The whole of it; Toxiproxy's own interface is described by Toxiproxy."""
    toxic = {"$ref": "#/components/schemas/toxic"}
    address = {"type": "string", "description": "host:port; port 0 is a free one"}
    proxy = {
        "name": {"type": "string", "minLength": 1},
        "listen": address,
        "upstream": {"type": "string", "minLength": 1},
        "enabled": {"type": "boolean"},
        "toxics": {"type": "array", "items": toxic},
    }
    tunnel = {
        "name": {"type": "string", "minLength": 1},
        "listen": address,
        "routes": {"type": "object", "additionalProperties": {"type": "string"}},
    }
    refuse = _object({"refuse": {"type": "boolean"}, "keep": {"type": "boolean"}}, "refuse")
    paths = {
        "/enterprise/counters": {"get": _operation("What each link and each toxic did", None, "200")},
        "/enterprise/proxies": {
            "post": _operation("A proxy with its toxics", _object(proxy, "name", "upstream"), "201")
        },
        "/enterprise/proxies/{name}/toxics": {"post": _operation("One more toxic", toxic, "201", name=True)},
        "/enterprise/proxies/{name}/close": {
            "post": _operation(
                "End its open connections", _object({"how": {"enum": ["reset", "fin"]}}, "how"), "200", name=True
            )
        },
        "/enterprise/proxies/{name}/refuse": {
            "post": _operation("Reset what connects, or stop doing so", refuse, "200", name=True)
        },
        "/enterprise/tunnels": {
            "get": _operation("HTTP CONNECT entries", None, "200"),
            "post": _operation("Add one, or give one new routes", _object(tunnel, "name"), "201"),
        },
        "/enterprise/openapi.json": {"get": _operation("This document", None, "200")},
    }
    error = _object({"error": {"type": "string"}, "status": {"type": "integer"}}, "error", "status")
    return {
        "openapi": "3.1.0",
        "info": {"title": "pytest-enterprise fault proxy", "version": __version__},
        "paths": paths,
        "components": {"schemas": {"toxic": {"oneOf": [_toxic(kind) for kind in KINDS.values()]}, "error": error}},
    }
