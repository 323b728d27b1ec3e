"""``sbom.cdx.json``: the distributions that a session had installed and the engines it started, as CycloneDX 1.6.

It is written when the session ends, since no other machine could tell.
"""

from __future__ import annotations

import importlib.metadata
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pytest_enterprise.evidence import canonical

NAME = "sbom.cdx.json"


def write(directory: Path, *, run: str, made: str, version: str, engines: Iterable[Mapping[str, Any]]) -> Path:
    """Write ``evidence/sbom.cdx.json``; ``made`` is a time in RFC 3339, ``engines`` are those of :mod:`.capture`."""
    parts = {entry["bom-ref"]: entry for entry in (*_distributions(), *map(_engine, engines))}
    document = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{canonical.uuid(run, 'sbom')}",
        "version": 1,
        "metadata": {
            "timestamp": made,
            "tools": {"components": [{"type": "application", "name": "pytest-enterprise", "version": version}]},
            "component": {
                "type": "application",
                "bom-ref": f"run:{run}",
                "name": "pytest-enterprise run",
                "version": run,
            },
        },
        "components": [parts[name] for name in sorted(parts)],
    }
    path = directory / "evidence" / NAME
    canonical.write(path, canonical.pretty(document))
    return path


def _distributions() -> Iterable[dict[str, Any]]:
    for found in importlib.metadata.distributions():
        name, version = found.metadata["Name"], found.version
        if not name or not version:  # a folder that somebody left half removed
            continue
        purl = f"pkg:pypi/{re.sub(r'[-_.]+', '-', name).lower()}@{version}"
        entry: dict[str, Any] = {"type": "library", "bom-ref": purl, "name": name, "version": version, "purl": purl}
        if "License-Expression" in found.metadata:
            entry["licenses"] = [{"expression": found.metadata["License-Expression"]}]
        yield entry


def _engine(engine: Mapping[str, Any]) -> dict[str, Any]:
    image = engine.get("image")
    entry: dict[str, Any] = {
        "type": "container" if image else "application",
        "name": image or engine["kind"] or engine["name"],
        "version": engine["version"],
    }
    digest = engine.get("image_digest") or engine.get("sha256")
    if digest:
        entry["hashes"] = [{"alg": "SHA-256", "content": digest.removeprefix("sha256:")}]
    if engine.get("program"):
        entry["properties"] = [{"name": "pytest-enterprise:program", "value": engine["program"]}]
    return {"bom-ref": f"engine:{entry['name']}@{entry['version']}", **entry}
