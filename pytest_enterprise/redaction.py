"""Takes secrets out of what a run writes down: those it knows, and what looks like one.

The events of a run are redacted before they reach its directory, so that everything made from them is. Logs of engines
are the engines' own and are not.
"""

from __future__ import annotations

import base64
import json
import os
import re
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote

MARK = "[redacted]"
_NAME = r"passw(?:or)?d|passphrase|secret|token|api[_-]?key|access[_-]?key|private[_-]?key|credential"
_SECRET_NAME = re.compile(_NAME, re.IGNORECASE)
_HOLDER = re.compile(rf"(?:^|[_.-])(?:{_NAME})s?$", re.IGNORECASE)
"""The name of a field or variable that holds a secret."""
_PREFIXES = r"gh[oprsu]_|github_pat_|glpat-|xox[abeprs]-|sk-|npm_|pypi-"
"""Of tokens of well-known services."""
_ASSIGNED = rf"((?:{_NAME})[\w-]{{0,20}}[\"']?\s{{0,3}}[:=]\s{{0,3}}[\"']?)(?!\[redacted\])[^\s\"',;&\])}}]{{4,}}"
_PATTERNS = tuple(
    (re.compile(pattern, flags), mark)
    for pattern, flags, mark in (
        (r"-----BEGIN [A-Z ]{0,30}PRIVATE KEY-----.*?(?:-----END [A-Z ]{0,30}PRIVATE KEY-----|\Z)", re.DOTALL, MARK),
        (r"\beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*", 0, MARK),
        (r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b", 0, MARK),
        (rf"\b(?:{_PREFIXES})[\w-]{{16,}}", 0, MARK),
        (r"(://[^\s:/@]{0,100}:)[^\s/@]{1,200}@", 0, rf"\1{MARK}@"),
        (r"\b(bearer|basic) [\w.~+/=-]{8,}", re.IGNORECASE, rf"\1 {MARK}"),
        (_ASSIGNED, re.IGNORECASE, rf"\1{MARK}"),
    )
)
_HINTS = (
    "passw", "passphrase", "secret", "token", "api_key", "api-key", "apikey", "access_key", "access-key", "accesskey",
    "private_key", "private-key", "privatekey", "private key", "credential", "eyj", "akia", "asia", "gho_", "ghp_",
    "ghr_", "ghs_", "ghu_", "github_pat_", "glpat-", "xox", "sk-", "npm_", "pypi-", "bearer ", "basic ",
)  # fmt: skip
"""A text in lower case without any of these and without ``@`` holds no pattern; most have none."""
_SHORTEST = 6
_WORD = re.compile(r"[a-z]{1,11}|\d{1,7}")
"""A known secret that is an ordinary word or number would take out half of what is written: it is left."""


class Redactor:
    """Replaces known secrets (plain, quoted, in base64) and what looks like a secret by ``[redacted]``."""

    def __init__(self, known: Iterable[str] = ()) -> None:
        self._known: list[str] = []
        self.add(*known)

    @classmethod
    def of(cls, environ: Mapping[str, str] = os.environ) -> Redactor:
        """One that knows the values of environment variables whose names say that they hold a secret."""
        made = cls()
        made.learn(environ)
        return made

    def learn(self, environ: Mapping[str, str]) -> None:
        """Know the values of these variables whose names say that they hold a secret; paths of files are none."""
        named = (value for name, value in environ.items() if _SECRET_NAME.search(name))
        self.add(*(value for value in named if not os.path.exists(value)))  # noqa: PTH110 - most are no paths

    def add(self, *secrets: str) -> None:
        """Know these as well."""
        forms = set(self._known)
        for secret in secrets:
            if len(secret) >= _SHORTEST and not _WORD.fullmatch(secret):
                encoded = base64.b64encode(secret.encode("utf-8", "replace")).decode().rstrip("=")
                forms |= {secret, quote(secret, safe=""), json.dumps(secret)[1:-1], encoded}
        self._known = sorted(forms, key=len, reverse=True)

    def text(self, text: str) -> str:
        """``text`` without secrets, and without characters that UTF-8 cannot hold."""
        for secret in self._known:
            if secret in text:
                text = text.replace(secret, MARK)
        if self.finds(text):
            for pattern, mark in _PATTERNS:
                text = pattern.sub(mark, text)
        return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()

    def document(self, value: Any) -> Any:
        """The same for what JSON can hold, names of fields and all texts in it; other objects become texts.

        What holds no secret, as nearly everything, is looked through once and given back as it is.
        """
        try:
            text = json.dumps(value, ensure_ascii=False)
            text.encode()
        except (TypeError, ValueError):
            return self.always(value)
        return self.always(value) if self.finds(text) else value

    def finds(self, text: str) -> bool:
        """Whether something in a text is worth a closer look."""
        low = text.lower()
        return "@" in low or any(hint in low for hint in _HINTS) or any(secret in text for secret in self._known)

    def always(self, value: Any) -> Any:
        """The same as :meth:`document`, with the closer look."""
        if isinstance(value, str):
            return self.text(value)
        if value is None or isinstance(value, bool | int | float):
            return value
        if isinstance(value, Mapping):
            return {self.text(str(key)): self._entry(str(key), entry) for key, entry in value.items()}
        if isinstance(value, list | tuple | set | frozenset):
            return [self.always(entry) for entry in value]
        return self.text(str(value))

    def _entry(self, name: str, entry: Any) -> Any:
        if isinstance(entry, str) and entry and _HOLDER.search(name):
            return MARK
        return self.always(entry)
