"""Frameworks of controls as data: which there are, and how strongly which kind of test supports each.

``controls/*.toml`` holds those that come with the package. A file of the same form adds a framework or, with
``overlay = true``, puts other texts (licensed ones) in place of ours; ``--enterprise-frameworks`` names such files.

.. code-block:: toml

    id = "ACME"
    title = "ACME's rules for operations"
    version = "2026"

    [reasons]
    people = "it is about people, which no technical test shows"

    [controls]
    "OPS-1" = { text = "The service survives the loss of a host.", direct = ["failover"], partial = ["capacity"] }
    "OPS-2" = { text = "Somebody is always on call.", none = "people" }

A control names the kinds of test that support it, or the reason for which none can. A file is read when one of its
controls is asked for.
"""

from __future__ import annotations

import hashlib
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pytest_enterprise.errors import ConfigurationError, nearest

KINDS = (
    "failover", "restore", "encryption", "access", "log-integrity", "capacity", "processing", "change", "monitoring",
    "incident", "retention", "classification",
)  # fmt: skip
"""Kinds of test."""
ANY = "any"
"""In a framework's file: whatever the kind of test; it is the testing itself that supports the control."""
STRENGTHS = ("direct", "partial", "contextual")
"""From the strongest."""
KIND_OF_SUITE = {
    "failover": "failover", "performance": "capacity", "unit": "processing", "integration": "processing",
}  # fmt: skip
"""What a test is taken for whose ``control`` marker names no kind; of other suites nothing is assumed."""
BUILT_IN = {"SOC2": "soc2", "ISO27001": "iso27001", "HIPAA": "hipaa", "GDPR": "gdpr", "NIST80053": "nist80053"}
_FOLDER = Path(__file__).parent / "controls"
_ID = re.compile(r"[A-Za-z][A-Za-z0-9]*")
_ENHANCEMENT = re.compile(r"(.+?)\((\d{1,2})\)")
_FIELDS = {"id", "title", "version", "source", "overlay", "enhancements", "reasons", "families", "controls"}
_OF_CONTROL = {"text", "none", "level", *STRENGTHS}


@dataclass(frozen=True, kw_only=True)
class Control:
    """One requirement of a framework."""

    framework: str
    name: str
    """Within its framework: ``A1.2``."""
    text: str
    strengths: Mapping[str, str] = field(default_factory=dict)
    """Kind of test: how strongly it supports this."""
    reason: str = ""
    """Why no test can support it; empty where one can."""
    level: str = ""
    """``required`` or ``addressable``, in frameworks that tell these apart."""

    @property
    def id(self) -> str:
        """As markers name it: ``SOC2:A1.2``."""
        return f"{self.framework}:{self.name}"

    def strength(self, kind: str) -> str:
        """How strongly a test of this kind supports it; empty: not at all. An empty kind is one that is not known."""
        found = [strength for name in (kind, ANY) if (strength := self.strengths.get(name))]
        return min(found, key=STRENGTHS.index) if found else ""


@dataclass(frozen=True, kw_only=True)
class Framework:
    """One framework in one version."""

    id: str
    title: str
    version: str
    source: str
    sha256: str
    """Of the file that it was read from."""
    controls: Mapping[str, Control]
    families: Mapping[str, str] = field(default_factory=dict)
    """Prefix of identifiers: title."""
    unmapped: Mapping[str, str] = field(default_factory=dict)
    """Prefix of identifiers that are known but not listed: why no test supports them."""
    enhancements: bool = False
    """``CP-9(1)`` is known where ``CP-9`` is."""
    overlay: str = ""
    """sha256 of the file with other texts."""

    def control(self, name: str) -> Control | None:
        """The control of that name, or None."""
        if name in self.controls:
            return self.controls[name]
        found = _ENHANCEMENT.fullmatch(name) if self.enhancements else None
        base = found[1] if found else name
        if found and base in self.controls:
            control = self.controls[base]
            weaker = {k: "partial" if s == "direct" else s for k, s in control.strengths.items()}
            text = f"Enhancement {found[2]}: {control.text}"
            return replace(control, name=name, strengths=weaker, text=text)
        prefix, _, number = base.partition("-")
        if prefix in self.unmapped and number.isdecimal():
            return Control(framework=self.id, name=name, text=self.families[prefix], reason=self.unmapped[prefix])
        return None


class Frameworks:
    """The built-in frameworks and those of ``files``, which are read at once; the others when they are asked for.

    Raises ConfigurationError for a file that cannot be read or is not of this form.
    """

    def __init__(self, files: Iterable[Path] = ()) -> None:
        self._read: dict[str, Framework] = {}
        for path in files:
            self._add(path)

    def _add(self, path: Path) -> None:
        document, sha256 = _document(path)
        id = document["id"]
        if not document.get("overlay"):
            if id in BUILT_IN or id in self._read:
                raise ConfigurationError(
                    f"{path}: the framework {id!r} exists already; write overlay = true to replace its texts, or "
                    "choose another id"
                )
            self._read[id] = _framework(path, document, sha256)
            return
        under = self.framework(id)
        texts = {}
        for name, entry in document["controls"].items():
            control = under.control(name)
            if control is None:
                raise ConfigurationError(f"{path}: {id} has no control {name!r}. {nearest(name, under.controls)}")
            text = entry.get("text") if isinstance(entry, dict) else None
            if not isinstance(text, str) or not text.strip() or set(entry) != {"text"}:
                raise ConfigurationError(
                    f'{path}: {name!r}: an overlay holds text = "..." for each control, and no more'
                )
            texts[name] = replace(control, text=text.strip())
        self._read[id] = replace(under, controls={**under.controls, **texts}, overlay=sha256)

    def framework(self, id: str) -> Framework:
        """The framework of that id; ConfigurationError names those that exist."""
        if id not in self._read:
            if id not in BUILT_IN:
                raise ConfigurationError(f"no framework has the id {id!r}. {nearest(id, {*BUILT_IN, *self._read})}")
            path = _FOLDER / f"{BUILT_IN[id]}.toml"
            self._read[id] = _framework(path, *_document(path))
        return self._read[id]

    def find(self, id: str) -> Control:
        """The control ``FRAMEWORK:NAME``; ConfigurationError names the nearest ones."""
        prefix, colon, name = id.partition(":")
        if not colon or not name:
            raise ConfigurationError(f"control {id!r} is not of the form FRAMEWORK:NAME, such as SOC2:A1.2")
        framework = self.framework(prefix)
        control = framework.control(name)
        if control is None:
            known = (f"{prefix}:{one}" for one in framework.controls)
            raise ConfigurationError(f"{framework.title} has no control {id!r}. {nearest(id, known)}")
        return control

    def check(self, id: object, *, kind: str | None, suite: str | None, where: str) -> tuple[str, str]:
        """What a ``control`` marker says of a test: the kind of test (or empty) and how strongly it supports ``id``.

        ``kind`` is what the marker names; without it, the ``suite`` tells. ConfigurationError, beginning with
        ``where``, for what does not exist, what no test can support, and a kind that does not support this control.
        """
        if not isinstance(id, str):
            raise ConfigurationError(f'{where}: control {id!r}; give identifiers as texts: control("SOC2:A1.2")')
        if kind is not None and kind not in KINDS:
            raise ConfigurationError(f"{where}: kind={kind!r} is no kind of test. {nearest(str(kind), KINDS)}")
        try:
            control = self.find(id)
        except ConfigurationError as error:
            raise ConfigurationError(f"{where}: {error}") from None
        if control.reason:
            raise ConfigurationError(
                f"{where}: no test can support {id} ({control.text.rstrip('.')}): {control.reason}. Remove it from the "
                "marker; an auditor looks for it elsewhere"
            )
        if kind is None:
            kind = KIND_OF_SUITE.get(suite or "", "")
            return kind, control.strength(kind) or "contextual"
        strength = control.strength(kind)
        if not strength:
            able = ", ".join(f"{name} ({strength})" for name, strength in control.strengths.items())
            raise ConfigurationError(f"{where}: a test of kind {kind!r} does not support {id}; these do: {able}")
        return kind, strength


def _document(path: Path) -> tuple[dict[str, Any], str]:
    try:
        data = path.read_bytes()
        document = tomllib.loads(data.decode())
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{path}: cannot be read as TOML: {error}") from None
    for key in document:
        if key not in _FIELDS:
            raise ConfigurationError(f"{path}: unknown key {key!r}. {nearest(key, _FIELDS)}")
    id = document.get("id")
    if not isinstance(id, str) or not _ID.fullmatch(id):
        raise ConfigurationError(f"{path}: id={id!r}; give letters and digits, a letter first, as in SOC2")
    for key in ("controls", "reasons", "families"):
        if not isinstance(document.get(key, {}), dict):
            raise ConfigurationError(f"{path}: {key} is a table: [{key}]")
    if not document.get("controls"):
        raise ConfigurationError(f'{path}: [controls] is missing or empty; write "NAME" = {{ text = "..." }}')
    return document, hashlib.sha256(data).hexdigest()


def _framework(path: Path, document: Mapping[str, Any], sha256: str) -> Framework:
    for key in ("title", "version"):
        if not isinstance(document.get(key), str):
            raise ConfigurationError(f'{path}: every framework has {key} = "..."')
    reasons: Mapping[str, str] = document.get("reasons", {})
    families: Mapping[str, Any] = document.get("families", {})
    return Framework(
        id=document["id"],
        title=document["title"],
        version=document["version"],
        source=str(document.get("source", "")),
        sha256=sha256,
        controls={
            name: _control(f"{path}: {name!r}", document["id"], name, entry, reasons)
            for name, entry in document["controls"].items()
        },
        families={prefix: str(entry.get("title", prefix)) for prefix, entry in families.items()},
        unmapped={prefix: reasons[entry["none"]] for prefix, entry in families.items() if "none" in entry},
        enhancements=document.get("enhancements") is True,
    )


def _control(where: str, framework: str, name: str, entry: Any, reasons: Mapping[str, str]) -> Control:
    if not isinstance(entry, dict) or not isinstance(entry.get("text"), str):
        raise ConfigurationError(f'{where}: write {{ text = "...", direct = ["failover"] }}')
    if re.search(r"\s", name) or not name:
        raise ConfigurationError(f"{where}: a name holds no spaces")
    for key in entry:
        if key not in _OF_CONTROL:
            raise ConfigurationError(f"{where}: unknown key {key!r}. {nearest(key, _OF_CONTROL)}")
    strengths: dict[str, str] = {}
    for strength in STRENGTHS:
        kinds = entry.get(strength, [])
        if not isinstance(kinds, list):
            raise ConfigurationError(f'{where}: {strength}={kinds!r}; give a list of kinds of test: ["failover"]')
        for kind in kinds:
            if kind not in (*KINDS, ANY):
                raise ConfigurationError(f"{where}: {kind!r} is no kind of test. {nearest(str(kind), (*KINDS, ANY))}")
            strengths.setdefault(kind, strength)
    none = entry.get("none")
    if none is not None and none not in reasons:
        raise ConfigurationError(f"{where}: none={none!r} is not in [reasons]. {nearest(str(none), reasons)}")
    if (none is None) == (not strengths):
        raise ConfigurationError(f"{where}: name the kinds of test that support it, or none = REASON: one of the two")
    return Control(
        framework=framework,
        name=name,
        text=entry["text"].strip(),
        strengths=strengths,
        reason=reasons[none] if none else "",
        level=str(entry.get("level", "")),
    )
