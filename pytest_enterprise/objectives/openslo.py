"""Service level objectives as `OpenSLO <https://openslo.com>`_ documents (``openslo/v1``), judged by a load.

Indicators have a metric source of our own, so that one document can hold those of the real service and those of its
tests:

.. code-block:: yaml

    metricSource:
      type: pytest-enterprise
      spec: {measure: latency, endpoint: POST /orders, phase: during}

- ``ratioMetric``: ``good`` measures ``successes`` of the ``total`` ``requests``, or ``right-answers`` of the
  ``answers`` (``bad``: ``failures``, ``wrong-answers``). An objective's ``target`` is the least share of good ones.
- ``thresholdMetric``: ``latency`` or ``age``, in seconds. An objective's ``target`` is the share that is at most its
  ``value`` (``op: lte``) or less (``lt``).

``phase`` is ``whole`` unless it is given. With the annotation ``pytest-enterprise/error-budget-at-most: "0.01"`` the
failures may use up that share of the budget of the time window, too. All else that OpenSLO allows and that a load
cannot tell (time slices, calendar windows, alert policies, composites) is refused, never passed over.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from pytest_enterprise.errors import ConfigurationError, nearest
from pytest_enterprise.objectives.availability import Availability
from pytest_enterprise.objectives.base import Objective
from pytest_enterprise.objectives.budget import ErrorBudget
from pytest_enterprise.objectives.correctness import Correctness
from pytest_enterprise.objectives.fields import documents, mapping, number, text
from pytest_enterprise.objectives.freshness import Freshness
from pytest_enterprise.objectives.latency import Latency

SOURCE = "pytest-enterprise"
BUDGET = "pytest-enterprise/error-budget-at-most"
_VERSION = "openslo/v1"
_KINDS = ("SLO", "SLI", "Service")
_DAYS = {"m": 1 / 1440, "h": 1 / 24, "d": 1, "w": 7, "M": 30, "Q": 90, "Y": 365}
_RATIOS: Mapping[tuple[str, str, str], Callable[..., Objective]] = {
    ("good", "successes", "requests"): Availability,
    ("bad", "failures", "requests"): Availability,
    ("good", "right-answers", "answers"): Correctness,
    ("bad", "wrong-answers", "answers"): Correctness,
}
_THRESHOLDS: Mapping[str, Callable[..., Objective]] = {"latency": Latency, "age": Freshness}


class _Indicator(NamedTuple):
    kind: Callable[..., Objective]
    where: Mapping[str, Any]
    """Endpoint and phase."""


def from_openslo(path: Path) -> tuple[Objective, ...]:
    """The objectives of the SLO documents in a file, in order, named after them.

    Raises ConfigurationError that names the file, the place in it, the value and what is allowed there.
    """
    found = [_header(path, document) for document in documents(path) if document is not None]
    indicators = {
        name: _indicator(f"{path}: SLI {name}", document["spec"])
        for name, document in found
        if document["kind"] == "SLI"
    }
    made: list[Objective] = []
    for name, document in found:
        if document["kind"] == "SLO":
            made += _slo(f"{path}: SLO {name}", name, document, indicators)
    if not made:
        raise ConfigurationError(f"{path}: holds no document of kind SLO")
    return tuple(made)


def _header(path: Path, document: Any) -> tuple[str, dict[str, Any]]:
    fields = mapping(str(path), document, ("apiVersion", "kind", "metadata", "spec"), every=True)
    if fields["apiVersion"] != _VERSION:
        raise ConfigurationError(f"{path}: apiVersion={fields['apiVersion']!r}; write {_VERSION}")
    if fields["kind"] not in _KINDS:
        raise ConfigurationError(
            f"{path}: kind={fields['kind']!r} says nothing that a load can be judged by. "
            f"{nearest(str(fields['kind']), _KINDS)}"
        )
    metadata = mapping(f"{path}: metadata", fields["metadata"], ("name", "displayName", "labels", "annotations"))
    return text(f"{path}: metadata.name", metadata.get("name")), fields


def _slo(where: str, name: str, document: dict[str, Any], indicators: Mapping[str, _Indicator]) -> list[Objective]:
    known = ("description", "service", "indicator", "indicatorRef", "timeWindow", "budgetingMethod", "objectives")
    given = document["spec"]
    if isinstance(given, dict) and not given.get("alertPolicies"):  # documents have the list even when it is empty
        given = {key: value for key, value in given.items() if key != "alertPolicies"}
    spec = mapping(f"{where}: spec", given, known)
    if spec.get("budgetingMethod") != "Occurrences":
        raise ConfigurationError(
            f"{where}: budgetingMethod={spec.get('budgetingMethod')!r}; write Occurrences: a load of minutes has no "
            "time slices of a month"
        )
    indicator = _indicator_of(where, spec, indicators)
    days = _window(where, spec.get("timeWindow"))
    listed = spec.get("objectives")
    if not isinstance(listed, list) or not listed:
        raise ConfigurationError(f"{where}: objectives={listed!r}; give a list of at least one")
    annotations = document["metadata"].get("annotations") or {}
    made: list[Objective] = []
    for count, entry in enumerate(listed, 1):
        of_its_own = name if len(listed) == 1 else f"{name}-{count}"
        place = f"{where}: objectives[{count}]"
        fields = mapping(place, entry, ("displayName", "op", "value", "target", "targetPercent"))
        target = _target(place, fields)
        made.append(_objective(place, of_its_own, indicator, target, fields))
        if BUDGET in annotations:
            if indicator.kind is not Availability:
                raise ConfigurationError(f"{where}: {BUDGET} needs an indicator of requests that succeed or fail")
            most = number(f"{where}: {BUDGET}", annotations[BUDGET])
            settings = {"target": target, "at_most": most, "days": days, **indicator.where}
            made.append(_made(place, ErrorBudget, {"name": f"{of_its_own}-budget", **settings}))
    return made


def _objective(place: str, name: str, indicator: _Indicator, target: float, fields: Mapping[str, Any]) -> Objective:
    if indicator.kind in (Availability, Correctness):
        for key in ("op", "value"):
            if key in fields:
                raise ConfigurationError(f"{place}: {key!r} belongs to a thresholdMetric; a ratio has a target alone")
        return _made(place, indicator.kind, {"name": name, "at_least": target, **indicator.where})
    if fields.get("op") not in ("lte", "lt"):
        raise ConfigurationError(
            f"{place}: op={fields.get('op')!r}; write lte or lt: {target:g} of all take at most the value, or less"
        )
    seconds = number(f"{place}: value", fields.get("value"))
    if fields["op"] == "lt":
        seconds = math.nextafter(seconds, 0)
    settings = {"name": name, "percentile": round(target * 100, 9), "at_most": seconds}
    return _made(place, indicator.kind, {**settings, **indicator.where})


def _indicator_of(where: str, spec: dict[str, Any], indicators: Mapping[str, _Indicator]) -> _Indicator:
    if ("indicator" in spec) == ("indicatorRef" in spec):
        raise ConfigurationError(f"{where}: give either indicator or indicatorRef")
    if "indicatorRef" in spec:
        name = spec["indicatorRef"]
        if name not in indicators:
            raise ConfigurationError(
                f"{where}: indicatorRef={name!r} is no SLI of this file. {nearest(str(name), indicators)}"
            )
        return indicators[name]
    inline = mapping(f"{where}: indicator", spec["indicator"], ("metadata", "spec"))
    return _indicator(f"{where}: indicator", inline.get("spec"))


def _indicator(where: str, given: Any) -> _Indicator:
    spec = mapping(f"{where}: spec", given, ("description", "ratioMetric", "thresholdMetric"))
    if ("ratioMetric" in spec) == ("thresholdMetric" in spec):
        raise ConfigurationError(f"{where}: give either ratioMetric or thresholdMetric")
    if "thresholdMetric" in spec:
        place = f"{where}: thresholdMetric"
        measure, rest = _source(place, mapping(place, spec["thresholdMetric"], ("metricSource",)), tuple(_THRESHOLDS))
        return _Indicator(_THRESHOLDS[measure], rest)
    place = f"{where}: ratioMetric"
    ratio = mapping(place, spec["ratioMetric"], ("counter", "good", "bad", "total"))
    if ("good" in ratio) == ("bad" in ratio) or "total" not in ratio:
        raise ConfigurationError(f"{place}: give total, and either good or bad")
    part = "good" if "good" in ratio else "bad"
    counted, rest = _source(f"{place}.{part}", ratio[part], tuple(m for p, m, _ in _RATIOS if p == part))
    total, others = _source(f"{place}.total", ratio["total"], ("requests", "answers"))
    if rest != others:
        raise ConfigurationError(f"{place}: {part} and total differ in endpoint or phase; give both the same")
    if (part, counted, total) not in _RATIOS:
        raise ConfigurationError(f"{place}: {counted} are no part of {total}")
    return _Indicator(_RATIOS[part, counted, total], rest)


def _source(where: str, given: Any, measures: tuple[str, ...]) -> tuple[str, dict[str, Any]]:
    """The measure of a metric source, and the endpoint and phase that it is limited to."""
    source = mapping(f"{where}.metricSource", mapping(where, given, ("metricSource",)).get("metricSource"),
                      ("type", "spec"))  # fmt: skip
    if source.get("type") != SOURCE:
        raise ConfigurationError(
            f"{where}.metricSource: type={source.get('type')!r}; a load can only be asked as {SOURCE!r}"
        )
    spec = mapping(f"{where}.metricSource.spec", source.get("spec"), ("measure", "endpoint", "phase"))
    if spec.get("measure") not in measures:
        raise ConfigurationError(
            f"{where}.metricSource.spec: measure={spec.get('measure')!r} is not possible here. "
            f"{nearest(str(spec.get('measure')), measures)}"
        )
    rest: dict[str, Any] = {
        key: text(f"{where}.metricSource.spec.{key}", spec[key]) for key in ("endpoint", "phase") if key in spec
    }
    return spec["measure"], {"phase": "whole", **rest}


def _window(where: str, given: Any) -> float:
    """The days of the time window."""
    if not isinstance(given, list) or len(given) != 1:
        raise ConfigurationError(
            f"{where}: timeWindow={given!r}; give a list of one, such as [{{duration: 30d, isRolling: true}}]"
        )
    fields = mapping(f"{where}: timeWindow", given[0], ("duration", "isRolling"))
    if fields.get("isRolling") is not True:
        raise ConfigurationError(
            f"{where}: timeWindow: isRolling={fields.get('isRolling')!r}; only rolling windows are known"
        )
    match = re.fullmatch(r"([1-9]\d*)([mhdwMQY])", str(fields.get("duration")))
    if not match:
        raise ConfigurationError(
            f"{where}: timeWindow: duration={fields.get('duration')!r}; write a number and m, h, d, w, M, Q or Y: 30d"
        )
    return int(match[1]) * _DAYS[match[2]]


def _target(place: str, fields: Mapping[str, Any]) -> float:
    if ("target" in fields) == ("targetPercent" in fields):
        raise ConfigurationError(f"{place}: give either target (0.995) or targetPercent (99.5)")
    if "target" in fields:
        return number(f"{place}: target", fields["target"])
    return round(number(f"{place}: targetPercent", fields["targetPercent"]) / 100, 12)


def _made(place: str, kind: Callable[..., Objective], settings: Mapping[str, Any]) -> Objective:
    try:
        return kind(**settings)
    except ConfigurationError as error:
        raise ConfigurationError(f"{place}: {error}") from None
