"""Users of PostgreSQL: statements and transactions, waited for by gevent."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any, ClassVar

# psycopg chooses how it waits when it is imported: after Locust has put gevent under the sockets, so that it yields.
from pytest_enterprise.load import failure_words
from pytest_enterprise.load.protocol import Answer, Expected, Pool, ProtocolUser, Reply, failure

try:
    import psycopg
    from psycopg.rows import tuple_row
except ImportError:
    from pytest_enterprise.errors import ConfigurationError

    raise ConfigurationError(
        "users of PostgreSQL need psycopg, which is not installed: pip install 'pytest-enterprise[postgres]'"
    ) from None

Parameters = Sequence[Any] | Mapping[str, Any] | None


def _told(error: psycopg.Error) -> Exception:
    kind = failure_words.of_postgres(error)
    return error if kind == type(error).__name__ else failure(kind, str(error))


def _size(rows: Any) -> int:
    """Bytes of rows as PostgreSQL writes them, about: what drivers hand over are values, not bytes."""
    if not isinstance(rows, list):
        return 0
    fields = (field for row in rows if isinstance(row, tuple) for field in row if field is not None)
    return sum(len(field) if isinstance(field, (str, bytes)) else len(str(field)) for field in fields)


class PostgresClient:
    """The ``client`` of a :class:`PostgresUser`."""

    def __init__(self, user: PostgresUser) -> None:
        self._user = user
        user.address()
        # libpq's own limit is 2 s at least; the exchange has one too.
        seconds = max(2, round(user.connection_timeout))
        self._pool: Pool[psycopg.Connection[tuple[Any, ...]]] = Pool(
            lambda: psycopg.connect(
                user.host or "",
                autocommit=True,
                row_factory=tuple_row,
                connect_timeout=seconds,
                application_name="pytest-enterprise load",
            )
        )

    def _reply(self, work: Callable[[psycopg.Connection[tuple[Any, ...]]], tuple[Any, str]]) -> Reply:
        try:
            with self._pool.connection() as connection:
                try:
                    value, status = work(connection)
                except psycopg.Error as error:
                    if connection.closed:
                        raise
                    raise _told(error) from error
        except psycopg.Error as error:
            raise _told(error) from error
        return Reply(value, _size(value), status)

    def execute(
        self,
        statement: str,
        parameters: Parameters = None,
        *,
        name: str | None = None,
        expect: Expected = None,
        time_limit: float | None = None,
    ) -> Answer:
        """One statement on its own, named after its first word; its value is the list of rows.

        Prepared by psycopg when it comes often. ``answer.status`` is the server's word for it: ``INSERT 0 1``.
        """

        def run(connection: psycopg.Connection[tuple[Any, ...]]) -> tuple[Any, str]:
            cursor = connection.execute(statement, parameters)
            return (cursor.fetchall() if cursor.description else []), cursor.statusmessage or ""

        return self._user.exchange(
            name or statement.split(None, 1)[0].upper(),
            lambda _: self._reply(run),
            expect=expect,
            time_limit=time_limit,
        )

    def transaction(
        self,
        work: Callable[[psycopg.Connection[tuple[Any, ...]]], Any],
        *,
        name: str,
        expect: Expected = None,
        time_limit: float | None = None,
    ) -> Answer:
        """What ``work`` does with a psycopg connection, in one transaction, recorded as one request.

        It is committed when ``work`` returns, whose value is the answer's, and rolled back when it raises.
        """

        def run(connection: psycopg.Connection[tuple[Any, ...]]) -> tuple[Any, str]:
            with connection.transaction():
                return work(connection), "COMMIT"

        return self._user.exchange(name, lambda _: self._reply(run), expect=expect, time_limit=time_limit)

    def close(self) -> None:
        self._pool.close()


class PostgresUser(ProtocolUser):
    """Speaks to PostgreSQL; connections are kept. Its host is a URL: ``postgresql://USER@HOST:PORT/DATABASE``."""

    abstract = True
    protocol = "PostgreSQL"
    schemes: ClassVar[tuple[str, ...]] = ("postgresql",)

    @cached_property
    def client(self) -> PostgresClient:
        """Made when the first task asks for it, so that a host that cannot be is told as an error of that task."""
        return PostgresClient(self)
