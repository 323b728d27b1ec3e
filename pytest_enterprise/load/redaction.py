"""What recorded traffic holds that nobody else may see: names of headers and parameters, and their values taken out."""

from __future__ import annotations

import re

REDACTED = "REDACTED"
HEADERS = frozenset(
    {"authorization", "proxy-authorization", "cookie", "set-cookie", "x-api-key", "x-auth-token", "x-csrf-token"}
    | {"x-xsrf-token", "x-amz-security-token", "x-goog-iap-jwt-assertion", "apikey", "api-key"}
)
"""Lower-case names of headers whose values are secrets."""
_SECRET = re.compile(
    r"(?i)token|secret|passw|pwd|api[-_]?key|access[-_]?key|^key$|auth|credential|signature|^sig$|session|^sid$|jwt|^code$"
)
# Of a name, a value: in the query of an address, in a form, after a header's colon, in a quoted JSON member.
_PAIR = re.compile(r"([A-Za-z0-9_.\-\[\]%]+)=([^&\s\"'#;,]+)")
_NAMED = re.compile(
    rf"(?i)\b({'|'.join(sorted(HEADERS, key=len, reverse=True))})"
    r"(\"?\s*[:=]\s*\"?)((?:bearer|basic)\s+)?[^\"\r\n]+"
)
_BEARER = re.compile(r"(?i)\b(bearer|basic)\s+[A-Za-z0-9._~+/=\-]{6,}")
_USERINFO = re.compile(r"(?<=://)[^/\s@\"]+@")
_JWT = re.compile(r"\beyJ[A-Za-z0-9_\-]{5,}\.[A-Za-z0-9_\-]+\.?[A-Za-z0-9_\-]*")


def is_secret(name: str) -> bool:
    """Whether a header or a parameter of that name holds a secret."""
    return name.lower() in HEADERS or bool(_SECRET.search(name))


def _pair(match: re.Match[str]) -> str:
    return f"{match[1]}={REDACTED}" if is_secret(match[1]) else match[0]


def redact_query(target: str) -> str:
    """A path with its query, the values of secret parameters replaced; the path stays as it is."""
    path, mark, query = target.partition("?")
    return path + mark + _JWT.sub(REDACTED, _PAIR.sub(_pair, query))


def redact_text(text: str) -> str:
    """Any text, a line of a log for one: parameters, headers, user names in addresses and JSON web tokens replaced."""
    text = _NAMED.sub(lambda match: f"{match[1]}{match[2]}{REDACTED}", text)
    text = _BEARER.sub(lambda match: f"{match[1]} {REDACTED}", text)
    text = _USERINFO.sub(f"{REDACTED}@", text)
    return _JWT.sub(REDACTED, _PAIR.sub(_pair, text))
