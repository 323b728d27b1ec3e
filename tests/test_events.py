"""The log of a run: appended by many, merged by time, readable after a crash."""

import json
import threading

from pytest_enterprise import events


def test_every_thread_and_listener_gets_each_event_whole(tmp_path):
    log = events.EventLog(tmp_path)
    heard = []
    log.subscribe(heard.append)
    threads = [threading.Thread(target=lambda n=n: [log.emit("x", n=n, i=i) for i in range(50)]) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    log.close()
    found = events.read(tmp_path)
    assert len(found) == len(heard) == 200
    assert [event["t"] for event in found] == sorted(event["t"] for event in found)


def test_merging_joins_processes_in_order_and_skips_what_a_crash_cut_short(tmp_path):
    folder = tmp_path / "events"
    folder.mkdir()
    (folder / "1.jsonl").write_text('{"t": 3, "kind": "c"}\n{"t": 9, "ki')
    (folder / "2.jsonl").write_text('{"t": 1, "kind": "a"}\nnonsense\n[]\n{"t": 2, "kind": "b"}\n')
    assert [event["kind"] for event in events.read(tmp_path)] == ["a", "b", "c"]
    merged = events.merge(tmp_path)
    assert [json.loads(line)["kind"] for line in merged.read_text().splitlines()] == ["a", "b", "c"]
    assert not folder.exists()
    assert [event["kind"] for event in events.read(tmp_path)] == ["a", "b", "c"]


def test_what_json_does_not_know_is_told_as_text(tmp_path):
    log = events.EventLog(tmp_path)
    log.emit("x", where=tmp_path)
    log.close()
    log.emit("x", after="closing is no error")
    assert [event["where"] for event in events.read(tmp_path)] == [str(tmp_path)]
