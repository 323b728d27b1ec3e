"""JSON as Go's encoding/json reads it: keys without regard to case, unknown keys ignored, null leaves the default."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

_GO_NAMES = {str: "string", bool: "bool", int: "int64", float: "float32"}


class BadValue(ValueError):
    """A body that is no JSON, or a value of the wrong type; the message tells which."""


class _Pairs(list[tuple[str, Any]]):
    """An object as its pairs, so that keys which differ only in case stay in order."""


def _no_constant(text: str) -> Any:
    raise ValueError(f"invalid character '{text[0]}' looking for beginning of value")


_DECODER = json.JSONDecoder(object_pairs_hook=_Pairs, parse_constant=_no_constant)


def load(body: bytes) -> Any:
    """The first JSON value of ``body``, objects as pairs; what follows it is ignored. Raises BadValue."""
    text = body.decode("utf-8", "replace").lstrip(" \t\r\n")
    if not text:
        raise BadValue("EOF")
    try:
        value, _ = _DECODER.raw_decode(text)
    except RecursionError:
        raise BadValue("exceeded max depth") from None
    except ValueError as error:
        raise BadValue(str(error)) from None
    return value


def _kind(value: Any) -> str:
    if isinstance(value, _Pairs):
        return "object"
    for kind, name in ((bool, "bool"), (str, "string"), (list, "array"), (int, f"number {value}")):
        if isinstance(value, kind):
            return name
    return f"number {value}"


def _wrong(value: Any, field: str, wanted: str) -> BadValue:
    where = f"field {field}" if field else "value"
    return BadValue(f"json: cannot unmarshal {_kind(value)} into Go {where} of type {wanted}")


def _scalar(value: Any, field: str, wanted: type) -> Any:
    if wanted is bool or wanted is str:
        fits = isinstance(value, wanted)
    elif isinstance(value, bool):
        fits = False
    elif wanted is int:
        fits = isinstance(value, int) and -(2**63) <= value < 2**63
    else:
        fits = isinstance(value, (int, float)) and abs(value) < 3.5e38
    if not fits:
        raise _wrong(value, field, _GO_NAMES[wanted])
    return float(value) if wanted is float else value


def fields(value: Any, wanted: Mapping[str, type], *, within: str = "") -> dict[str, Any]:
    """Those of the ``wanted`` fields that the object ``value`` sets, as their types. Raises BadValue.

    A field wanted as ``dict`` or ``list`` is returned as :func:`load` gave it, for another call.
    """
    if value is None:
        return {}
    if not isinstance(value, _Pairs):
        raise _wrong(value, within, "struct")
    names = {name.lower(): name for name in wanted}
    found: dict[str, Any] = {}
    for key, item in value:
        name = names.get(key.lower())
        if name is None or item is None:
            continue
        path = f"{within}.{name}" if within else name
        kind = wanted[name]
        if kind is dict:
            if not isinstance(item, _Pairs):
                raise _wrong(item, path, "object")
            found[name] = item
        elif kind is list:
            found[name] = items(item, within=path)
        else:
            found[name] = _scalar(item, path, kind)
    return found


def is_array(value: Any) -> bool:
    """Whether :func:`load` found an array."""
    return isinstance(value, list) and not isinstance(value, _Pairs)


def items(value: Any, *, within: str = "") -> list[Any]:
    """The elements of the array ``value``; none for null. Raises BadValue."""
    if value is None:
        return []
    if not is_array(value):
        raise _wrong(value, within, "array")
    return list(value)


def unknown(value: Any, wanted: Mapping[str, type]) -> list[str]:
    """The keys of the object ``value`` that are not among ``wanted``: for interfaces that do not ignore them."""
    names = {name.lower() for name in wanted}
    return [key for key, _ in value if key.lower() not in names] if isinstance(value, _Pairs) else []


def dump(value: Any) -> bytes:
    """Compact JSON."""
    return json.dumps(value, separators=(",", ":")).encode()


def number(value: float) -> float | int:
    """1.0 as 1, as Go writes it."""
    return int(value) if value == int(value) else value
