"""What is wrong with OSCAL documents that schemas and public validators let pass: one line each, with the place.

They read documents as they are found, of another tool as well, so they take nothing for granted.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

METHODS = ("EXAMINE", "INTERVIEW", "TEST", "UNKNOWN")
_LENGTHS = {
    "MD5": 32, "SHA-1": 40, "SHA-224": 56, "SHA-256": 64, "SHA-384": 96, "SHA-512": 128,
    "SHA3-224": 56, "SHA3-256": 64, "SHA3-384": 96, "SHA3-512": 128,
}  # fmt: skip
"""Hexadecimal digits of each kind of hash."""
_UUID = re.compile(r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[45][0-9a-fA-F]{3}-[89abAB][0-9a-fA-F]{3}-[0-9a-fA-F]{12}")
_REFERENCES = {
    "observation-uuid": "observations", "risk-uuid": "risks", "finding-uuid": "findings",
}  # fmt: skip
"""A field that names an entry by UUID, and the list that the entry stands in within the same document."""
_Place = tuple[str, Any]


def folder(where: Path) -> list[str]:
    """The problems of all ``*.json`` in a folder, read together: what one names, another may declare."""
    documents, problems = {}, []
    for path in sorted(where.glob("*.json")):
        try:
            documents[path.name] = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError) as error:
            problems.append(f"{path.name}: cannot be read: {error}")
    return [*problems, *check(documents)]


def check(documents: Mapping[str, Any]) -> list[str]:
    """The problems of documents, told by their names."""
    places = {name: list(_walk(document)) for name, document in documents.items()}
    everything = [place for found in places.values() for place in found]
    objectives, controls = _declared(everything)
    components = {entry["uuid"] for at, entry in everything if _is(entry, "uuid") and "/components/" in at}
    problems = []
    for name, found in places.items():
        uuids = _by_list(found)
        told = (
            *_duplicates(found),
            *_references(found, uuids, components),
            *_observations(found),
            *_times(found),
            *_findings(found, objectives),
            *_controls(found, controls),
            *_hashes(found),
            *_back_matter(found),
        )
        problems += [f"{name}{problem}" for problem in told]
    return problems


def _walk(value: Any, at: str = "") -> Iterator[_Place]:
    """Every mapping of a document with its place; without recursion, since a file may be nested as deep as it likes."""
    todo = [(at, value)]
    while todo:
        at, value = todo.pop()
        if isinstance(value, dict):
            yield at, value
            todo += [(f"{at}/{key}", entry) for key, entry in reversed(value.items())]
        elif isinstance(value, list):
            todo += [(f"{at}/{number}", entry) for number, entry in reversed(list(enumerate(value)))]


def _is(entry: Mapping[str, Any], *fields: str) -> bool:
    return all(isinstance(entry.get(field), str) for field in fields)


def _declared(places: list[_Place]) -> tuple[set[str], set[str]]:
    """The ids of all assessment objectives and statements, and those of all controls, of catalogues."""
    objectives, controls = set(), set()
    for at, entry in places:
        if not at.startswith("/catalog/") or not _is(entry, "id"):
            continue
        if re.search(r"/parts/\d+$", at):
            objectives.add(entry["id"])
        elif re.search(r"/controls/\d+$", at):
            controls.add(entry["id"])
    return objectives, controls


def _by_list(places: list[_Place]) -> dict[str, set[str]]:
    """The UUIDs of the entries of each kind of list."""
    found: dict[str, set[str]] = {}
    for at, entry in places:
        kind = at.rpartition("/")[0].rpartition("/")[2]
        if _is(entry, "uuid"):
            found.setdefault(kind, set()).add(entry["uuid"].lower())
    return found


def _duplicates(places: list[_Place]) -> Iterator[str]:
    seen: dict[str, str] = {}
    for at, entry in places:
        if "uuid" not in entry:
            continue
        uuid = entry["uuid"]
        if not isinstance(uuid, str) or not _UUID.fullmatch(uuid):
            yield f"{at}/uuid: {uuid!r} is no UUID of version 4 or 5"
        elif (first := seen.setdefault(uuid.lower(), at)) != at:
            yield f"{at}/uuid: {uuid} is the UUID of {first} as well"


def _references(places: list[_Place], uuids: Mapping[str, set[str]], components: set[str]) -> Iterator[str]:
    for at, entry in places:
        for field, kind in _REFERENCES.items():
            if field in entry and str(entry[field]).lower() not in uuids.get(kind, ()):
                yield f"{at}/{field}: there is nothing with the UUID {entry[field]!r} in {kind}"
        for field in ("subject-uuid", "component-uuid"):
            meant = field in entry and entry.get("type", "component") == "component"
            if meant and components and entry[field] not in components:
                yield f"{at}/{field}: no component has the UUID {entry[field]!r}"


def _observations(places: list[_Place]) -> Iterator[str]:
    for at, entry in places:
        if not re.search(r"/observations/\d+$", at):
            continue
        methods = entry.get("methods")
        for method in methods if isinstance(methods, list) else [methods]:
            if method not in METHODS:
                yield f"{at}/methods: {method!r} is none of {', '.join(METHODS)}"


def _times(places: list[_Place]) -> Iterator[str]:
    for at, entry in places:
        for first, last in (("start", "end"), ("collected", "expires")):
            if not _is(entry, first, last):
                continue
            began, ended = _time(entry[first]), _time(entry[last])
            for field, time in ((first, began), (last, ended)):
                if time is None:
                    yield f"{at}/{field}: {entry[field]!r} is no time with a time zone"
            if began and ended and ended < began:
                yield f"{at}/{last}: {entry[last]} is before its {first}, {entry[first]}"


def _time(text: str) -> datetime | None:
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        return None
    return time if time.tzinfo else None


def _findings(places: list[_Place], objectives: set[str]) -> Iterator[str]:
    for at, entry in places:
        if not re.search(r"/findings/\d+$", at):
            continue
        target = entry.get("target")
        id = target.get("target-id") if isinstance(target, dict) else None
        if objectives and id not in objectives:
            yield f"{at}/target/target-id: {id!r} is not in the catalogue"


def _controls(places: list[_Place], controls: set[str]) -> Iterator[str]:
    if not controls:
        return
    for at, entry in places:
        named = [("control-id", entry["control-id"])] if "control-id" in entry else []
        with_ids = entry.get("with-ids")
        named += [(f"with-ids/{n}", id) for n, id in enumerate(with_ids)] if isinstance(with_ids, list) else []
        for field, id in named:
            if id not in controls:
                yield f"{at}/{field}: {id!r} is not in the catalogue"


def _hashes(places: list[_Place]) -> Iterator[str]:
    for at, entry in places:
        if not re.search(r"/hashes/\d+$", at):
            continue
        algorithm, value = entry.get("algorithm"), str(entry.get("value"))
        length = _LENGTHS.get(str(algorithm))
        if length is None:
            yield f"{at}/algorithm: {algorithm!r} is none of {', '.join(_LENGTHS)}"
        elif not re.fullmatch(rf"[0-9a-fA-F]{{{length}}}", value):
            yield f"{at}/value: {algorithm} has {length} hexadecimal digits, not {value!r}"


def _back_matter(places: list[_Place]) -> Iterator[str]:
    """Links into the document itself (``#uuid``) that lead nowhere."""
    known = {entry["uuid"].lower() for _, entry in places if _is(entry, "uuid")}
    for at, entry in places:
        href = entry.get("href")
        if isinstance(href, str) and href.startswith("#") and href[1:].lower() not in known:
            yield f"{at}/href: nothing in the document has the UUID {href[1:]!r}"
