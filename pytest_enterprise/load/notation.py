"""Arrivals as people type them: ``poisson:50``, ``ramp:10-200/30s``, a plain number, or the JSON of the pattern."""

from __future__ import annotations

import json
import re
from typing import Any

from pytest_enterprise.errors import ConfigurationError, nearest
from pytest_enterprise.load.arrivals import KINDS, Arrivals, Constant, Poisson, Ramp, Rates, Spike, Step, from_document

_NUMBER = r"(\d+(?:\.\d+)?)"
_FORMS = {
    "constant": (_NUMBER, "constant:200"),
    "poisson": (_NUMBER, "poisson:50"),
    "ramp": (rf"{_NUMBER}-{_NUMBER}/{_NUMBER}s?", "ramp:10-200/30s"),
    "step": (rf"({_NUMBER}(?:,{_NUMBER})*)/{_NUMBER}s?", "step:50,100,200/10s"),
    "spike": (rf"{_NUMBER}-{_NUMBER}@{_NUMBER}s?/{_NUMBER}s?", "spike:50-500@10s/2s"),
}
"""What stands behind the colon, and an example."""
EXAMPLES = ", ".join(example for _, example in _FORMS.values())


def arrivals(value: Any) -> Arrivals:
    """The pattern that ``value`` means: one already, a number of arrivals per second (evenly spaced), or text.

    Raises ConfigurationError.
    """
    if isinstance(value, Arrivals):
        return value
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return Constant(rate=value)
    if not isinstance(value, str):
        raise ConfigurationError(
            f"arrivals={value!r} is no pattern; give Poisson(rate=50), a number per second or text"
        )
    text = value.strip()
    if text.startswith("{"):
        try:
            document = json.loads(text)
        except ValueError as error:
            raise ConfigurationError(f"arrivals {text!r} is not JSON: {error}") from None
        return from_document(document)
    kind, colon, rest = text.partition(":")
    if not colon:
        kind, rest = "constant", text
    if kind not in _FORMS:
        way = 'write it as JSON, {"kind": "trace", ...}' if kind in KINDS else nearest(kind, _FORMS)
        raise ConfigurationError(f"arrivals {text!r}: {kind!r} has no short form. {way}")
    form, example = _FORMS[kind]
    found = re.fullmatch(form, rest)
    if not found:
        raise ConfigurationError(f"arrivals {text!r} cannot be read; write it like {example} (rates are per second)")
    return _made(kind, found)


def _made(kind: str, found: re.Match[str]) -> Arrivals:
    if kind == "step":
        return Step(rates=[float(rate) for rate in found[1].split(",")], each=float(found[found.re.groups]))
    numbers = [float(number) for number in found.groups()]
    match kind:
        case "constant":
            return Constant(rate=numbers[0])
        case "poisson":
            return Poisson(rate=numbers[0])
        case "ramp":
            return Ramp(first=numbers[0], last=numbers[1], over=numbers[2])
    return Spike(rate=numbers[0], peak=numbers[1], at=numbers[2], lasting=numbers[3])


def words(pattern: Arrivals) -> str:
    """The pattern in a few words for tables: ``poisson, 50 per second``, ``ramp, 10 to 200 per second``."""
    if not isinstance(pattern, Rates):
        return f"{pattern.kind}, {pattern.seconds:g} s long"
    ends = [rate for piece in pattern.pieces for rate in (piece.first, piece.last)]
    low, high = min(ends), max(ends)
    rates = f"{high:,g}" if low == high else f"{low:,g} to {high:,g}"
    independent = " independent" if pattern.poisson and pattern.kind != "poisson" else ""
    return f"{pattern.kind}, {rates}{independent} per second"
