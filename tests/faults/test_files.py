"""Files that change behind a server's back: PostgreSQL tells, and all is as before afterwards."""

import psycopg
import pytest

from pytest_enterprise.errors import ConfigurationError, FaultFailed


@pytest.fixture
def database(live):
    """Asks the database in a connection of its own."""
    live.ensure("postgres")

    def ask(sql, *, autocommit=False):
        address = live.address("postgres", "sql")
        dsn = f"host={address.host} port={address.port} user=postgres dbname=app"
        with psycopg.connect(dsn, autocommit=autocommit) as connection:
            cursor = connection.execute(sql)
            return cursor.fetchall() if cursor.description else []

    return ask


@pytest.fixture
def table(database):
    """The path of a table's file below the data directory, as a pattern."""
    database("DROP TABLE IF EXISTS letters")
    database("CREATE TABLE letters AS SELECT n, repeat('x', 100) AS text FROM generate_series(1, 2000) AS n")
    database("CHECKPOINT", autocommit=True)
    [(path,)] = database("SELECT pg_relation_filepath('letters')")
    return f"**/{path}"


COUNT = "SELECT count(*) FROM letters"


def test_a_flipped_bit_is_told_by_checksums(faults, database, table):
    with faults.rot("postgres", table), pytest.raises(psycopg.errors.DataCorrupted, match="invalid page"):
        database(COUNT)
    assert database(COUNT) == [(2000,)]


def test_a_truncated_file_has_lost_its_rows(faults, database, table):
    with faults.rot("postgres", table, truncate=150_000):
        assert database(COUNT)[0][0] < 2000
    assert database(COUNT) == [(2000,)]


def test_what_cannot_be_meant_is_refused(faults, database):
    with pytest.raises(ConfigurationError, match="bytes=0 is out of range"):
        faults.rot("postgres", "x", bytes=0)
    with pytest.raises(FaultFailed, match=r"no file below .* is meant by 'nowhere'"):
        faults.rot("postgres", "nowhere").begin()
    assert database("SELECT 1") == [(1,)]
