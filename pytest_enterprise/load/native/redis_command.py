"""What is sent to Redis, as data: ``RedisCommand("GET", "basket/{int:1:100}", expect="1")``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from pytest_enterprise.errors import ConfigurationError
from pytest_enterprise.load.native import request
from pytest_enterprise.load.native.template import Template

_OF_CONNECTIONS = ("AUTH", "HELLO", "MONITOR", "MULTI", "PSUBSCRIBE", "RESET", "SELECT", "SSUBSCRIBE", "SUBSCRIBE")
"""Commands that change what comes on a connection afterwards, which is that of other requests."""


@dataclass(frozen=True, init=False)
class RedisCommand:
    """One kind of command. Its words may have placeholders: see ``template``."""

    words: tuple[str, ...]
    name: str
    """The endpoint in records and reports; ``Redis GET`` when empty."""
    weight: float
    """How often it is drawn, against the other commands of its load."""
    expect: Any
    """The right reply: text, a number, a list of such; None: whatever is no error."""

    def __init__(
        self,
        *words: str | bytes | float,
        name: str = "",
        weight: float = 1.0,
        expect: Any = None,
    ) -> None:
        """Raises ConfigurationError."""
        told = f"command {' '.join(map(str, words))!r}"
        if not words or not _text(told, words[0]):
            raise ConfigurationError(f'{told} is none; write RedisCommand("GET", "key")')
        texts = tuple(_text(told, word) for word in words)
        first = texts[0].upper()
        if first in _OF_CONNECTIONS:
            raise ConfigurationError(
                f"{told}: {first} changes the connection for the commands after it; the host's URL says who logs in "
                "and to which database"
            )
        for text in texts:
            Template(text)
        object.__setattr__(self, "words", texts)
        object.__setattr__(self, "name", name or f"Redis {first}")
        object.__setattr__(self, "weight", weight)
        object.__setattr__(self, "expect", _reply(told, expect))
        request.weight(told, weight)

    def document(self) -> dict[str, Any]:
        """As JSON; :func:`from_document` makes it again."""
        return asdict(self)


def _text(told: str, word: Any) -> str:
    if isinstance(word, bytes):
        try:
            return word.decode()
        except UnicodeDecodeError:
            raise ConfigurationError(f"{told}: {word!r} is no text; only UTF-8 can be sent") from None
    if isinstance(word, bool) or not isinstance(word, (str, int, float)):
        raise ConfigurationError(f"{told}: {word!r} cannot be sent; give texts and numbers")
    return str(word)


def _reply(told: str, value: Any) -> Any:
    """What is expected, in the terms of JSON."""
    if isinstance(value, (list, tuple)):
        return [_reply(told, one) for one in value]
    if value is None or (isinstance(value, int) and not isinstance(value, bool)):
        return value
    if not isinstance(value, (str, bytes)):
        raise ConfigurationError(f"{told}: expect={value!r} is no reply; give a text, a whole number or a list of them")
    return _text(told, value)


def from_document(document: Any) -> RedisCommand:
    """The command that :meth:`RedisCommand.document` described. Raises ConfigurationError."""
    if not isinstance(document, Mapping) or not isinstance(document.get("words"), (list, tuple)):
        raise ConfigurationError(f'command {document!r} is none; write {{"words": ["GET", "key"]}}')
    request.known("command", document, RedisCommand)
    settings = dict(document)
    return RedisCommand(*settings.pop("words"), **settings)
