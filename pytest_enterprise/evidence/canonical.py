"""How evidence is written: JSON in one form only, files whole or not at all, identifiers that come out the same."""

from __future__ import annotations

import hashlib
import json
import math
import os
import uuid as uuid_module
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from pytest_enterprise.redaction import Redactor

_NAMESPACE = uuid_module.uuid5(uuid_module.NAMESPACE_URL, "https://pytest-enterprise.dev/evidence/1")
_patterns = Redactor()


def uuid(*parts: str) -> str:
    """A version 5 UUID of these texts, the same whenever they are."""
    return str(uuid_module.uuid5(_NAMESPACE, json.dumps(parts)))


def clean(value: Any) -> Any:
    """What JSON can hold, with no secret that can be told by its looks, and null for numbers that are not finite."""
    return json.loads(clean_line(value))


def clean_line(value: Any) -> str:
    """The same as :func:`line` writes it."""
    try:
        text = line(value)
    except ValueError:
        return line(_patterns.always(_finite(value)))
    odd = "\\ud" in text  # a character that UTF-8 cannot hold, or an emoji
    return line(_patterns.always(value)) if odd or _patterns.finds(text) else text


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _finite(entry) for key, entry in value.items()}
    return [_finite(entry) for entry in value] if isinstance(value, list | tuple) else value


def line(value: Any) -> str:
    """One line of JSON in canonical form, without its end; in ASCII, so that nobody sees another end of line in it."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def pretty(value: Any) -> str:
    """The same for people."""
    return json.dumps(value, indent=1, sort_keys=True, allow_nan=False) + "\n"


def streamed(document: Any, **parts: Iterable[str]) -> Iterator[str]:
    """``document`` as :func:`line` writes it, in pieces; each ``{"@": NAME}`` in it is replaced by the list of a part.

    A part's entries are lines already, so that a long list is never in memory as a whole.
    """
    rest = line(document)
    for name in sorted(parts, key=lambda name: rest.find(f'{{"@":"{name}"}}')):
        before, found, rest = rest.partition(f'{{"@":"{name}"}}')
        if not found:
            raise ValueError(f"the document has no place for {name}")
        yield before + "["
        for number, entry in enumerate(parts[name]):
            yield f",{entry}" if number else entry
        yield "]"
    yield rest + "\n"


def write(path: Path, text: str | Iterable[str]) -> None:
    """Write a file whole or, when there is no room, not at all; its folder is made where it is missing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".part")
    try:
        with partial.open("w", encoding="utf-8", newline="") as file:
            if isinstance(text, str):
                file.write(text)
            else:
                file.writelines(text)
        partial.replace(path)
    except OSError:
        partial.unlink(missing_ok=True)
        raise


def sha256(path: Path) -> str:
    """Of a file's bytes, read in parts."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def artefact(directory: Path, path: Path) -> dict[str, Any]:
    """A file of the run directory as records name it."""
    return {
        "path": clean(path.relative_to(directory).as_posix()),
        "sha256": sha256(path),
        "size": os.stat(path).st_size,  # noqa: PTH116
    }
