"""What is sent to PostgreSQL, as data: ``PostgresQuery("SELECT ... WHERE id = %s", ["{int:1:9}"], expect=1)``."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, asdict, dataclass
from typing import Any

from pytest_enterprise.errors import ConfigurationError
from pytest_enterprise.load.native.request import known, weight
from pytest_enterprise.load.native.template import Template

_OF_CONNECTIONS = ("BEGIN", "COPY", "LISTEN", "SET", "START")
_PLACE = re.compile(r"%(.?)", re.DOTALL)


@dataclass(frozen=True)
class PostgresQuery:
    """One kind of statement, which is a transaction of its own. Parameters may have placeholders: see ``template``."""

    statement: str
    """With ``%s`` for each parameter, as psycopg has it; where there are any, ``%%`` is a percent sign."""
    parameters: Sequence[Any] = ()
    """Texts, numbers, True, False and None; the server knows their types from where they stand."""
    _: KW_ONLY
    name: str = ""
    """The endpoint in records and reports; ``PostgreSQL SELECT`` when empty."""
    weight: float = 1.0
    """How often it is drawn, against the other statements of its load."""
    expect: int | Sequence[Sequence[Any]] | None = None
    """The right answer: how many rows are returned or changed, or the rows themselves, values as the server writes
    them; None: whatever is no error.
    """

    def __post_init__(self) -> None:
        statement: Any = self.statement
        words = statement.split(None, 1) if isinstance(statement, str) else []
        told = f"query {self.statement!r}"
        if not words:
            raise ConfigurationError(f'{told} is none; write PostgresQuery("SELECT 1")')
        first = words[0].upper()
        if first in _OF_CONNECTIONS:
            raise ConfigurationError(
                f"{told}: {first} changes the connection for the statements after it; each statement here is a "
                "transaction of its own, and settings go into the host's URL (?options=-c...)"
            )
        if isinstance(self.parameters, (str, bytes)) or not isinstance(self.parameters, Sequence):
            raise ConfigurationError(f"{told}: parameters={self.parameters!r} are no list")
        object.__setattr__(self, "parameters", tuple(_parameter(told, value) for value in self.parameters))
        object.__setattr__(self, "name", self.name or f"PostgreSQL {first}")
        weight(told, self.weight)
        object.__setattr__(self, "expect", _answer(told, self.expect))
        self.numbered  # noqa: B018  raises for what cannot be

    @property
    def numbered(self) -> str:
        """The statement with ``$1``, ``$2`` ..., as the server has it. Raises ConfigurationError."""
        if not self.parameters:
            return self.statement
        count = 0

        def number(found: re.Match[str]) -> str:
            nonlocal count
            if found[1] == "%":
                return "%"
            if found[1] != "s":
                raise ConfigurationError(
                    f"query {self.statement!r}: {found[0]!r} is no place for a parameter; write %s, "
                    "or %% for a percent sign"
                )
            count += 1
            return f"${count}"

        text = _PLACE.sub(number, self.statement)
        if count != len(self.parameters):
            raise ConfigurationError(
                f"query {self.statement!r} has places for {count} parameters (%s) and is given {len(self.parameters)}"
            )
        return text

    def document(self) -> dict[str, Any]:
        """As JSON; :func:`from_document` makes it again."""
        return asdict(self)


def _parameter(told: str, value: Any) -> str | None:
    if value is None:
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if not isinstance(value, (str, int, float)):
        raise ConfigurationError(
            f"{told}: parameter {value!r} cannot be sent; give texts, numbers, True, False or None"
        )
    if "\x00" in (text := str(value)):
        raise ConfigurationError(f"{told}: parameter {value!r} has a zero byte, which PostgreSQL cannot take")
    Template(text)
    return text


def _answer(told: str, value: Any) -> Any:
    """What is expected, in the terms of JSON."""
    if value is None or (isinstance(value, int) and not isinstance(value, bool) and value >= 0):
        return value
    if isinstance(value, (list, tuple)) and all(isinstance(row, (list, tuple)) for row in value):
        return [[_written(field) for field in row] for row in value]
    raise ConfigurationError(f"{told}: expect={value!r} is no answer; give a number of rows, or a list of rows")


def _written(field: Any) -> str | None:
    if isinstance(field, bool):
        return "t" if field else "f"
    return None if field is None else str(field)


def from_document(document: Any) -> PostgresQuery:
    """The query that :meth:`PostgresQuery.document` described. Raises ConfigurationError."""
    if not isinstance(document, Mapping) or not isinstance(document.get("statement"), str):
        raise ConfigurationError(f'query {document!r} is none; write {{"statement": "SELECT 1"}}')
    known("query", document, PostgresQuery)
    return PostgresQuery(**document)
