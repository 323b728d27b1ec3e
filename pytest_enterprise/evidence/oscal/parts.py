"""What OSCAL's documents share: identifiers that are tokens, metadata, properties, references to files with hashes."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from pytest_enterprise.errors import EnterpriseError
from pytest_enterprise.evidence import canonical, capture
from pytest_enterprise.evidence.attempts import Record
from pytest_enterprise.evidence.frameworks import Control, Framework, Frameworks
from pytest_enterprise.evidence.records import Evidence

NAMESPACE = "https://pytest-enterprise.dev/ns/oscal"
"""Of our properties."""
NEVER = "1970-01-01T00:00:00Z"
"""Where a time is required and none is known."""
Json = dict[str, Any]


def token(control: str) -> str:
    """An identifier as OSCAL allows it: no parentheses, a letter first: ``hipaa-164.308.a.7.ii.D``."""
    prefix, _, name = control.partition(":")
    return f"{prefix.lower()}-{re.sub(r'[^A-Za-z0-9._-]', '', name.replace('(', '.'))}"


def prop(name: str, value: object, *, remarks: str = "", cls: str = "") -> Json:
    """A property of our namespace; its value is one line that is never empty."""
    text = re.sub(r"\s+", " ", str(value)).strip() or "none"
    made: Json = {"name": name, "ns": NAMESPACE, "value": text}
    return made | ({"class": cls} if cls else {}) | ({"remarks": remarks} if remarks else {})


def line(text: str, otherwise: str = "not stated") -> str:
    """A text on one line, never empty, that is no markup."""
    return re.sub(r"([\\*_`<>\[\]$~^])", r"\\\1", re.sub(r"\s+", " ", text).strip()) or otherwise


@dataclass(frozen=True, kw_only=True)
class Base:
    """A run and the controls that its tests name."""

    run: Record
    used: Mapping[str, Control]
    """By their ids, in order."""
    frameworks: Sequence[Framework]
    tokens: Mapping[str, str]
    """Id of each control of these frameworks and of those used: its token, no two the same."""

    @classmethod
    def of(cls, evidence: Evidence) -> Base:
        """Read from the records and from the frameworks beside them in the run directory."""
        known = capture.own_frameworks(evidence.path.parent.parent)
        ids = {control["id"] for scenario in evidence.scenarios() for control in scenario["controls"]}
        used = {id: control for id in sorted(ids) if (control := _find(known, id))}
        frameworks = [known.framework(prefix) for prefix in sorted({control.framework for control in used.values()})]
        tokens: dict[str, str] = {}
        taken: set[str] = set()
        listed = {control.id for framework in frameworks for control in framework.controls.values()}
        for id in sorted(listed | set(used)):
            name = token(id)
            if name.lower() in taken:
                name = f"{name}-{canonical.uuid(id)[:8]}"
            taken.add(name.lower())
            tokens[id] = name
        return cls(run=evidence.run, used=used, frameworks=frameworks, tokens=tokens)

    def uuid(self, *what: str) -> str:
        """The UUID of something in this run."""
        return canonical.uuid(self.run["run"], *what)

    @property
    def system(self) -> str:
        """The UUID of the component that is the whole system under test."""
        return self.uuid("component", "this-system")

    @property
    def began(self) -> str:
        return self.run["began"] or self.run["ended"] or NEVER

    @property
    def ended(self) -> str:
        """Never before the beginning: a clock that was set back is told in the notes of the run."""
        return max(self.run["ended"] or self.began, self.began)

    def metadata(self, title: str) -> Json:
        """Of a document."""
        return {
            "title": title,
            "last-modified": self.ended,
            "version": line(self.run["run"]),
            "oscal-version": self.run["oscal_version"],
            "props": [
                prop("run", self.run["run"]),
                prop("tool", f"pytest-enterprise {self.run['version']}"),
                prop("environment", self.run["environment"]["name"]),
            ],
        }

    def reviewed(self) -> Json:
        """The controls that were looked at, and their objectives."""
        names = [self.tokens[id] for id in self.used]
        return {
            "control-selections": [{"include-controls": [{"control-id": name} for name in names]}],
            "control-objective-selections": [
                {"include-objectives": [{"objective-id": f"{name}_obj"} for name in names]}
            ],
        }

    def resource(self, entry: Record, title: str) -> Json:
        """A file of the run directory, for back matter; its href leads there from ``evidence/oscal``."""
        return {
            "uuid": self.uuid("file", entry["path"]),
            "title": line(title),
            "props": [prop("size", entry["size"])],
            "rlinks": [
                {
                    "href": f"../../{quote(entry['path'])}",
                    "hashes": [{"algorithm": "SHA-256", "value": entry["sha256"]}],
                }
            ],
        }


def of_file(directory: Path, path: Path) -> Record:
    """A file as :meth:`Base.resource` takes it."""
    return canonical.artefact(directory, path)


def _find(known: Frameworks, id: str) -> Control | None:
    try:
        return known.find(id)
    except EnterpriseError:  # of a framework that a later version no longer has
        return None
