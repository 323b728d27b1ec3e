from __future__ import annotations

import pytest

from pytest_enterprise.load import records
from pytest_enterprise.load.records import RecordWriter, Request


def test_what_was_written_is_read(tmp_path):
    """Requests come back as they were added, in order, to the microsecond."""
    writer = RecordWriter(tmp_path / "load" / "x")
    given = [
        Request(10**15 + i, i / 1000, f"GET /{i % 3}", "HTTP 503" if i % 5 == 0 else "", i * 7) for i in range(10_000)
    ]
    for request in given:
        writer.add(*request)
    writer.close()
    assert writer.count == 10_000
    assert list(records.read(tmp_path / "load" / "x")) == given
    assert (tmp_path / "load" / "x.requests").stat().st_size == 10_000 * 20


def test_values_beyond_the_format_are_capped(tmp_path):
    """A latency of days, a negative one and a huge answer are kept at the ends of the range."""
    writer = RecordWriter(tmp_path / "x")
    writer.add(1, 1e6, "a", "", 2**40)
    writer.add(2, -1.0, "a", "", -5)
    writer.close()
    first, second = records.read(tmp_path / "x")
    assert (first.latency, first.size) == (0xFFFFFFFF / 1e6, 0xFFFFFFFF)
    assert (second.latency, second.size) == (0, 0)


def test_more_names_than_numbers_are_lumped_together(tmp_path):
    """No request is lost when a locustfile gives every request a name of its own."""
    writer = RecordWriter(tmp_path / "x")
    for number in range(70_000):
        writer.add(number, 0.001, f"GET /{number}", "", 0)
    writer.close()
    names = [request.name for request in records.read(tmp_path / "x")]
    assert len(names) == 70_000
    assert names[65_534] == "GET /65534"
    assert set(names[65_535:]) == {"(other names)"}


def test_a_cut_short_record_and_index_line_are_left_out(tmp_path):
    """What a crash leaves can be read up to its last whole record."""
    writer = RecordWriter(tmp_path / "x")
    for number in range(3):
        writer.add(number, 0.001, "GET /", "", 0)
    writer.close()
    with (tmp_path / "x.requests").open("ab") as file:
        file.write(b"half a record")
    with (tmp_path / "x.index.jsonl").open("a") as file:
        file.write('{"name": "GET')
    assert [request.start for request in records.read(tmp_path / "x")] == [0, 1, 2]


def test_a_file_that_grows_while_it_is_read_stays_aligned(tmp_path):
    """A reader that meets half a record goes on with its other half, and looks up names that came meanwhile."""
    writer = RecordWriter(tmp_path / "x")
    writer.add(1, 0.001, "a", "", 0)
    writer.flush()
    whole = (tmp_path / "x.requests").read_bytes()
    (tmp_path / "x.requests").write_bytes(whole + whole[:7])
    reader = records.read(tmp_path / "x")
    assert next(reader).name == "a"
    with (tmp_path / "x.requests").open("ab") as file:
        file.write(whole[7:])
    writer.add(2, 0.001, "b", "odd", 0)
    writer.close()
    assert [(r.start, r.name, r.error) for r in reader] == [(1, "a", ""), (2, "b", "odd")]


def test_a_load_without_files_is_an_error(tmp_path):
    """Reading what is not there is not an empty load."""
    with pytest.raises(FileNotFoundError):
        list(records.read(tmp_path / "nothing"))


@pytest.mark.parametrize("latency", [0, 499, 500, 1_234_567, 3 << 41])
@pytest.mark.parametrize("size", [0, 5, 1 << 33])
def test_a_success_written_the_short_way_is_the_same_record(tmp_path, latency, size):
    """The first of its name, the next, and one with a value that no record can hold."""
    short, long = RecordWriter(tmp_path / "short"), RecordWriter(tmp_path / "long")
    add = short.successes("GET /")
    for start in (7, 8):
        add(start, latency, size)
        long.add(start, latency / 1e9, "GET /", "", size)
    assert short.count == long.count == 2
    short.close()
    long.close()
    assert list(records.read(tmp_path / "short")) == list(records.read(tmp_path / "long"))
