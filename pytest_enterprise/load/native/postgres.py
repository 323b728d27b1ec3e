"""PostgreSQL by libpq, which connects, logs in, encrypts and parses; this waits for its sockets.

Statements go by the extended protocol, each a transaction of its own, and are not prepared beforehand.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import Any
from urllib.parse import SplitResult

import psycopg
from psycopg import pq
from psycopg.conninfo import make_conninfo
from psycopg.errors import error_from_result

from pytest_enterprise.errors import ConfigurationError
from pytest_enterprise.load import failure_words
from pytest_enterprise.load.native.connection import Connection, Protocol
from pytest_enterprise.load.native.pool import Pool
from pytest_enterprise.load.native.postgres_query import PostgresQuery, from_document
from pytest_enterprise.load.native.stream import target
from pytest_enterprise.load.native.template import Template
from pytest_enterprise.load.records import LARGEST, WRONG

PORT = 5432
Parameters = tuple[bytes | None, ...]


class Plan:
    """One kind of statement, compiled."""

    slow = math.inf
    fixed = None

    def __init__(self, query: PostgresQuery) -> None:
        self.name = query.name
        self.weight = query.weight
        self.statement = query.numbered.encode()
        self._parameters = [None if each is None else Template(each) for each in query.parameters]
        self._rows: list[list[bytes | None]] | None = None
        self._count: int | None = None
        if isinstance(query.expect, int):
            self._count = query.expect
        elif query.expect is not None:
            self._rows = [[None if field is None else field.encode() for field in row] for row in query.expect]
        self.keeps_rows = self._rows is not None

    def render(self, random: Random, number: int) -> Parameters:
        """What one statement is sent with."""
        return tuple([None if each is None else each.render(random, number) for each in self._parameters])

    def check(self, rows: list[list[bytes | None]], count: int) -> str:
        """The kind of failure of an answer that is no error; empty for success."""
        if self._count is not None and count != self._count:
            return f"{WRONG}{count} rows, not {self._count}"
        return "" if self._rows in (None, rows) else f"{WRONG}the answer is not the expected one"

    @staticmethod
    def trace_id(_: Parameters) -> str:
        """None: the protocol has no place for one."""
        return ""


class PostgresConnection(Connection):
    """A connection of libpq, which never blocks."""

    def __init__(self, pool: Pool, conninfo: bytes) -> None:
        super().__init__(pool)
        self._conninfo = conninfo
        self._pg: pq.abc.PGconn | None = None
        self._reading = self._writing = -1
        """The descriptor that is waited for; libpq may change it until it is connected."""
        self._forget()

    def _forget(self) -> None:
        self._rows: list[list[bytes | None]] = []
        self._count = self._size = 0
        self._error: psycopg.Error | None = None

    # Connecting.

    def dial(self) -> None:
        self._pg = pq.PGconn.connect_start(self._conninfo)
        if self._pg.status == pq.ConnStatus.BAD:
            self._broken(psycopg.OperationalError(self._pg.get_error_message()))
        else:
            self._write_when_possible(self._connect)

    def _connect(self) -> None:
        assert self._pg is not None
        self._wait_no_more()
        state = self._pg.connect_poll()
        if state == pq.PollingStatus.READING:
            self._read_when_possible(self._connect)
        elif state == pq.PollingStatus.WRITING:
            self._write_when_possible(self._connect)
        elif state == pq.PollingStatus.OK:
            self._pg.nonblocking = 1
            self.ready = True
            self._read_when_possible(self._readable)
            self.send(self.payload)
        else:
            self._broken(psycopg.OperationalError(self._pg.get_error_message()))

    # Sending and reading.

    def send(self, payload: Parameters) -> None:
        assert self._pg is not None
        try:
            self._pg.send_query_params(self.plan.statement, payload or None)
            # Row by row, so that an answer without end is noticed before it fills the memory.
            self._pg.set_single_row_mode()
            self._flush()
        except psycopg.Error as error:
            self._broken(error)

    def _flush(self) -> None:
        assert self._pg is not None
        if self._pg.flush():
            self._write_when_possible(self._writable)

    def _writable(self) -> None:
        self._write_no_more()
        try:
            self._flush()
        except psycopg.Error as error:
            self._broken(error)

    def _readable(self) -> None:
        assert self._pg is not None
        try:
            self._pg.consume_input()
            if self.plan is None:
                if self._pg.status == pq.ConnStatus.BAD or not self._quiet():
                    self.close()  # nothing was asked, so this says that it ends
                return
            while not self.over and not self._pg.is_busy():
                result = self._pg.get_result()
                if result is None:
                    self._answered()
                    return
                self._take(result)
        except psycopg.Error as error:
            self._broken(error)

    def _quiet(self) -> bool:
        """Whether what came was only news, of a setting say."""
        assert self._pg is not None
        return not self._pg.is_busy() and self._pg.get_result() is None

    def _take(self, result: pq.abc.PGresult) -> None:
        status = result.status
        if status in (pq.ExecStatus.SINGLE_TUPLE, pq.ExecStatus.TUPLES_OK):
            for row in range(result.ntuples):
                fields = [result.get_value(row, column) for column in range(result.nfields)]
                self._size += sum(map(len, filter(None, fields)))
                if self.plan.keeps_rows:
                    self._rows.append(fields)
            self._count += result.ntuples
            if self._size > LARGEST:
                self.fail(f"answer over {LARGEST:,d} bytes", self._size)
        elif status == pq.ExecStatus.COMMAND_OK:
            self._count = result.command_tuples or 0
        elif status in (pq.ExecStatus.FATAL_ERROR, pq.ExecStatus.NONFATAL_ERROR):
            self._error = error_from_result(result)
        elif status != pq.ExecStatus.EMPTY_QUERY:
            self.fail("ProgrammingError")  # COPY, hidden from its check

    def _answered(self) -> None:
        assert self._pg is not None
        rows, count, size, failed = self._rows, self._count, self._size, self._error
        self._forget()
        reuse = self._pg.status == pq.ConnStatus.OK and self._pg.transaction_status == pq.TransactionStatus.IDLE
        if failed is not None:
            kind = failure_words.of_postgres(failed)
            self.finish(kind, size, reuse=reuse, status=kind, body=str(failed).encode())
        elif error := self.plan.check(rows, count):
            self.finish(error, size, reuse=reuse, body=repr(rows).encode() if rows else None)
        else:
            self.finish("", size, reuse=reuse)

    def _broken(self, error: psycopg.Error) -> None:
        """The connection has ended; what the server said before tells why."""
        if self.plan is None:
            self.close()
            return
        said = self._error or self._last_words() or error
        kind = failure_words.of_postgres(said)
        told = kind not in (failure_words.CLOSED, failure_words.REFUSED)
        self.fail(kind, self._size, status=kind if told else None, body=str(said).encode() if told else None)

    def _last_words(self) -> psycopg.Error | None:
        """What the server said before it hung up, which tells more than that it did."""
        assert self._pg is not None
        try:
            self._pg.consume_input()
        except psycopg.Error:
            pass
        while not self._pg.is_busy() and (result := self._pg.get_result()) is not None:
            if result.error_field(pq.DiagnosticField.SQLSTATE):
                return error_from_result(result)
        return None

    def shut(self) -> None:
        self._wait_no_more()
        if self._pg is not None:
            self._pg.finish()

    # Waiting.

    def _read_when_possible(self, call: Callable[[], None]) -> None:
        assert self._pg is not None
        self._reading = self._pg.socket
        self.pool.loop.add_reader(self._reading, call)

    def _write_when_possible(self, call: Callable[[], None]) -> None:
        assert self._pg is not None
        self._writing = self._pg.socket
        self.pool.loop.add_writer(self._writing, call)

    def _write_no_more(self) -> None:
        if self._writing >= 0:
            self.pool.loop.remove_writer(self._writing)
            self._writing = -1

    def _wait_no_more(self) -> None:
        self._write_no_more()
        if self._reading >= 0:
            self.pool.loop.remove_reader(self._reading)
            self._reading = -1


def protocol(settings: Mapping[str, Any], base: SplitResult) -> Protocol:
    """PostgreSQL at that host. Raises ConfigurationError."""
    where = target(base, PORT)
    try:
        conninfo = make_conninfo(
            settings["host"],
            hostaddr=where.address[0],  # libpq would look the name up for each connection, and wait for it
            application_name="pytest-enterprise load",
        ).encode()
    except psycopg.Error as error:
        raise ConfigurationError(f"the host's URL cannot be used: {error}") from None
    plans: Sequence[Plan] = [Plan(from_document(document)) for document in settings["requests"]]
    return Protocol(plans, lambda pool: PostgresConnection(pool, conninfo))
