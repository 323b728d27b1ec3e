"""JUnit: properties of one test for ``item.user_properties``, and ``junit.xml`` of a whole run."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from xml.etree import ElementTree

from pytest_enterprise import events
from pytest_enterprise.events import Event
from pytest_enterprise.report import reading, words

_FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML 1.0 allows nowhere."""
_OUTCOMES = {"failed": "failure", "error": "error", "skipped": "skipped"}


def properties(test_events: Iterable[Event]) -> list[tuple[str, str]]:
    """Names and values from the events of one run of one test, in order; a control, fault or load each has its own.

    Characters that XML forbids are pytest's to replace.
    """
    found: list[tuple[str, str]] = []
    for event in test_events:
        match event["kind"]:
            case "test.started":
                found += [
                    (f"enterprise.{name}", str(event[name]))
                    for name in ("suite", "claim", "sabotage")
                    if event.get(name)
                ]
                found += [("enterprise.control", control) for control in reading.texts(event.get("controls"))]
                found += [
                    (f"enterprise.control.{control}", f"{strength} ({kind or 'kind of test not stated'})")
                    for control, (kind, strength) in reading.strengths(event).items()
                ]
            case "load.started":
                found.append(("enterprise.load", f"{event.get('load')}: {words.loop(event)}"))
            case "load.behind":
                found.append(("enterprise.load.behind", f"{event.get('load')}: {event.get('reason')}"))
            case "fault.ended":
                acted = "acted" if event.get("acted") else "acted on nothing"
                did = words.plain(event.get("evidence"))
                found.append(("enterprise.fault", f"{event.get('fault')}: {acted}; {did}"))
            case "objective.judged":
                judged = reading.judgement(event)
                of = f".{judged.fault}" if judged.fault else ""
                told = f"{judged.outcome}: {words.value(judged)}, limit {words.limit(judged)}, {judged.samples} samples"
                found.append((f"enterprise.objective.{judged.objective}.{judged.phase}{of}", told))
            case "scenario.sabotaged":
                told = f"{event.get('outcome')}: {event.get('detail') or ''}".rstrip(": ")
                found.append((f"enterprise.sabotage.{event.get('switch')}", told))
    return found


def write(directory: Path) -> Path:
    """Write ``junit.xml`` of a run directory: one test case for each run of each test, with its properties."""
    told: dict[str, list[Event]] = {}
    cases: list[ElementTree.Element] = []
    for event in events.stream(directory):
        test = event.get("test")
        if event["kind"] == "test.started":
            told[str(test)] = []
        if test in told:
            told[test].append(event)
            if event["kind"] == "test.finished":
                cases.append(_case(test, told.pop(test)))
    suite = ElementTree.Element("testsuite", name="pytest-enterprise", tests=str(len(cases)))
    for outcome, attribute in (("failure", "failures"), ("error", "errors"), ("skipped", "skipped")):
        suite.set(attribute, str(sum(case.find(outcome) is not None for case in cases)))
    suite.set("time", f"{sum(float(case.get('time', 0)) for case in cases):.3f}")
    suite.extend(cases)
    root = ElementTree.Element("testsuites")
    root.append(suite)
    path = directory / "junit.xml"
    partial = path.with_suffix(".xml.part")
    ElementTree.ElementTree(root).write(partial, encoding="utf-8", xml_declaration=True)
    partial.replace(path)
    return path


def _case(test: str, test_events: list[Event]) -> ElementTree.Element:
    file, _, name = test.partition("::")
    finished = test_events[-1]
    classname = file.removesuffix(".py").replace("/", ".")
    case = ElementTree.Element("testcase", classname=_clean(classname), name=_clean(name))
    case.set("time", str(finished.get("seconds", 0)))
    found = properties(test_events)
    if found:
        group = ElementTree.SubElement(case, "properties")
        for key, value in found:
            ElementTree.SubElement(group, "property", name=_clean(key), value=_clean(value))
    if outcome := _OUTCOMES.get(str(finished.get("outcome"))):
        message = _clean(str(finished.get("message") or ""))
        ElementTree.SubElement(case, outcome, message=message.partition("\n")[0]).text = message
    return case


def _clean(text: str) -> str:
    return _FORBIDDEN.sub("�", text)
