"""Texts with placeholders, drawn anew for each request: ``/tasks/{int:1:500}``.

``{int:1:500}`` is a whole number from 1 to 500, ``{choice:a|b|c}`` one of the texts, ``{hex:16}`` so many hexadecimal
digits, ``{uuid}`` a random UUID, ``{seq}`` the number of the request within its load, from 0. ``{{int`` writes a brace.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import Any

from pytest_enterprise.errors import ConfigurationError, nearest

Draw = Callable[[Random, int], bytes]
"""Draws one value: from the source of chance and the number of the request."""

_PLACEHOLDER = re.compile(r'\{(\{?)([A-Za-z]\w*)(?::([^{}"]*))?\}')
_NUMBER = re.compile(r"\{(?:int|seq)(?::[^{}]*)?\}")
_MARK = "\x00"
"""Before a JSON string that is to become a number."""
_UNMARK = re.compile(r'"\\u0000(\{[^{}"]*\})"')


class Template:
    """A compiled text."""

    def __init__(self, text: str) -> None:
        """Raises ConfigurationError for a placeholder that does not exist or cannot be drawn."""
        parts: list[bytes | Draw] = []
        fixed = ""
        at = 0
        for found in _PLACEHOLDER.finditer(text):
            fixed += text[at : found.start()]
            at = found.end()
            if found[1]:
                fixed += found[0][1:]
                continue
            parts += [fixed.encode(), _draw(found[0], found[2], found[3])]
            fixed = ""
        fixed += text[at:]
        parts.append(fixed.encode())
        self._parts = [part for part in parts if part]
        self.fixed = None if len(parts) > 1 else parts[0]
        """The bytes, when nothing in them is drawn."""

    def render(self, random: Random, number: int) -> bytes:
        """The text for one request."""
        if self.fixed is not None:
            assert isinstance(self.fixed, bytes)
            return self.fixed
        return b"".join([part if isinstance(part, bytes) else part(random, number) for part in self._parts])


def json_text(value: Any) -> str:
    """JSON as a template; a string that is nothing but ``{int:...}`` or ``{seq}`` becomes a number."""
    return _UNMARK.sub(r"\1", json.dumps(_marked(value), ensure_ascii=False))


def _marked(value: Any) -> Any:
    if isinstance(value, str):
        return _MARK + value if _NUMBER.fullmatch(value) else value
    if isinstance(value, Mapping):
        return {key: _marked(inner) for key, inner in value.items()}
    if isinstance(value, Sequence):
        return [_marked(inner) for inner in value]
    return value


def _draw(text: str, kind: str, settings: str | None) -> Draw:
    if kind not in _KINDS:
        raise ConfigurationError(
            f"placeholder {text}: there is no {kind!r}. {nearest(kind, _KINDS)} Write {{{text} for the text itself."
        )
    make, form = _KINDS[kind]
    try:
        return make(settings)
    except ValueError:
        raise ConfigurationError(f"placeholder {text} cannot be drawn; write {form}") from None


def _int(settings: str | None) -> Draw:
    lowest, highest = (int(number) for number in (settings or "").split(":"))
    if highest < lowest:
        raise ValueError(settings)
    width = highest - lowest + 1
    return lambda random, _: b"%d" % (lowest + int(random.random() * width))


def _choice(settings: str | None) -> Draw:
    if not settings:
        raise ValueError(settings)
    texts = [text.encode() for text in settings.split("|")]
    return lambda random, _: texts[int(random.random() * len(texts))]


def _hex(settings: str | None) -> Draw:
    digits = int(settings or "16")
    if not 1 <= digits <= 1024:
        raise ValueError(settings)
    return lambda random, _: b"%0*x" % (digits, random.getrandbits(digits * 4))


def _uuid(settings: str | None) -> Draw:
    if settings:
        raise ValueError(settings)

    def draw(random: Random, _: int) -> bytes:
        bits = random.getrandbits(128) & ~(0xF << 76 | 0x3 << 62) | 0x4 << 76 | 0x2 << 62
        text = b"%032x" % bits
        return b"-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))

    return draw


def _seq(settings: str | None) -> Draw:
    if settings:
        raise ValueError(settings)
    return lambda _, number: b"%d" % number


_KINDS: dict[str, tuple[Callable[[str | None], Draw], str]] = {
    "choice": (_choice, "{choice:red|green|blue}"),
    "hex": (_hex, "{hex:DIGITS}, from 1 to 1024 of them"),
    "int": (_int, "{int:LOWEST:HIGHEST}"),
    "seq": (_seq, "{seq}"),
    "uuid": (_uuid, "{uuid}"),
}
