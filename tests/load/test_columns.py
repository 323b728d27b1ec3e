"""Requests in columns are the same requests."""

from __future__ import annotations

import builtins
import importlib
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_enterprise.errors import ConfigurationError
from pytest_enterprise.load import records
from pytest_enterprise.load.columns import Columns
from pytest_enterprise.load.records import RecordWriter, Request

MADE = st.lists(
    st.builds(
        Request,
        st.integers(0, 2**62),
        st.integers(0, 2**32 - 1).map(lambda micros: micros / 1e6),
        st.sampled_from(["GET /", "POST /tasks", ""]),
        st.sampled_from(["", "", "HTTP 503", "wrong: no total", "timed out"]),
        st.integers(0, 2**32 - 1),
    ),
    max_size=40,
)


@given(MADE)
def test_rows_go_in_and_come_out(rows):
    """As a sequence they are what they were made of, one by one, in slices and as a whole."""
    columns = Columns.of(rows)
    assert list(columns) == rows
    assert columns == rows
    assert [columns[i] for i in range(len(rows))] == rows
    assert list(columns[3:7]) == rows[3:7]
    assert Columns.of(columns) is columns
    assert columns.end.tolist() == [row.end for row in rows]


@given(MADE)
def test_a_file_reads_in_columns_as_it_reads_in_rows(tmp_path_factory, rows):
    """The two readers agree on every file, the empty one too."""
    path = tmp_path_factory.mktemp("load") / "x"
    writer = RecordWriter(path)
    for row in rows:
        writer.add(*row)
    writer.close()
    assert list(Columns.read(path)) == list(records.read(path)) == rows


@given(MADE, st.integers(1, 5))
def test_what_is_chosen_is_what_a_loop_would_choose(rows, count):
    """Masks, names, kinds and the slowest agree with plain Python."""
    columns = Columns.of(rows)
    assert list(columns.where(columns.failed)) == [row for row in rows if row.error]
    assert list(columns.where(columns.wrong)) == [row for row in rows if row.error.startswith("wrong: ")]
    assert list(columns.named("GET /")) == [row for row in rows if row.name == "GET /"]
    assert list(columns.named("nothing")) == []
    assert list(columns.where(columns.of_kind(["HTTP 503"]))) == [row for row in rows if row.error == "HTTP 503"]
    assert columns.names() == sorted({row.name for row in rows})
    assert columns.seconds().tolist() == sorted(row.latency for row in rows)
    assert columns.slowest(count) == sorted(rows, key=lambda row: -row.latency)[:count]
    assert dict(columns.errors()) == {
        error: sum(row.error == error for row in rows) for error in {row.error for row in rows} if error
    }


@given(MADE, MADE)
def test_loads_that_number_their_names_differently_are_joined(one, other):
    """The requests of both, under their own names."""
    assert list(Columns.joined([Columns.of(one), Columns.of(other)])) == one + other


def test_what_a_crash_cut_short_is_left_out(tmp_path):
    """Half a record is none, and a number that no line explains is shown as a number."""
    writer = RecordWriter(tmp_path / "x")
    writer.add(1, 0.5, "a", "odd", 7)
    writer.add(2, 0.5, "b", "", 7)
    writer.close()
    with (tmp_path / "x.requests").open("ab") as file:
        file.write(b"half a record")
    (tmp_path / "x.index.jsonl").write_text('{"name": "b", "number": 1}\n')
    assert [(r.start, r.name, r.error) for r in Columns.read(tmp_path / "x")] == [
        (1, "(name 0)", "(error 1)"),
        (2, "b", ""),
    ]


def test_nothing_is_there():
    """No load, no request; a load without files is an error."""
    assert Columns.joined([]) == []
    assert Columns.of([]) != [Request(0, 0, "a", "", 0)]
    assert repr(Columns.of([])) == "<0 requests>"


def test_without_numpy_it_says_how_to_get_it(monkeypatch):
    """The mistake of an installation without the extra is told in a sentence."""
    load = builtins.__import__

    def refuse(name, *rest, **more):
        if name == "numpy":
            raise ImportError(name)
        return load(name, *rest, **more)

    monkeypatch.delitem(sys.modules, "pytest_enterprise.load.columns")
    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(ConfigurationError, match=r"pip install 'pytest-enterprise\[load\]'"):
        importlib.import_module("pytest_enterprise.load.columns")
