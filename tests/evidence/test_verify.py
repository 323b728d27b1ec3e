"""Whoever changes, removes, adds, moves, replays or rolls back evidence is found, and told where."""

import json
import shutil
import tarfile
import zipfile
from datetime import timedelta

import pytest
from evidence_runs import Clock, make_run, measurement, recorded, scenario

from pytest_enterprise.errors import ConfigurationError
from pytest_enterprise.evidence import keys, verify
from pytest_enterprise.evidence.dsse import canonical, seal, unseal
from pytest_enterprise.evidence.entries import ATTESTATION, CHECKPOINT, ENTRIES, INCLUSION
from pytest_enterprise.evidence.ledger import Ledger

NOW = "2026-02-01T00:00:00Z"


@pytest.fixture
def runs(ledger):
    """Three runs in a ledger, a day apart."""
    for number in (1, 2, 3):
        recorded(ledger, f"run-{number}")
        ledger._clock.at += timedelta(days=1)
    return ledger.directory.parent


@pytest.fixture
def told(ledger, capsys):
    """Verifies reports: the exit status, and the lines that are not notes."""

    def tell(path=None, *arguments, key=ledger.key.fingerprint):
        given = ["--now", NOW, *(["--key", key] if key else []), *arguments]
        status = verify.main([str(path or ledger.directory.parent), *given])
        lines = capsys.readouterr().out.splitlines()
        return status, [line for line in lines[:-1] if not line.startswith("note: ")]

    return tell


def test_what_nobody_touched_is_verified(runs, told):
    assert told() == (0, [])
    assert told(runs / "ledger") == (0, [])
    assert told(runs / "run-2") == (0, [])


@pytest.mark.parametrize(
    "name",
    ["events.jsonl", "run.json", "load/1.bin", "evidence/evidence.jsonl", "evidence/evidence.csv", "engines/etcd.log"],
)
@pytest.mark.parametrize("change", ["byte", "gone", "longer"])
def test_a_changed_file_is_named(name, change, runs, told):
    path = runs / "run-2" / name
    data = path.read_bytes()
    if change == "gone":
        path.unlink()
    else:
        path.write_bytes(data + b"\n" if change == "longer" else data[:-2] + bytes([data[-2] ^ 1]) + data[-1:])
    for place in (None, runs / "run-2"):
        status, lines = told(place)
        assert status == (1 if change == "gone" else 3)
        assert any(name in line for line in lines), lines


@pytest.mark.parametrize("name", [ATTESTATION, INCLUSION])
def test_no_byte_of_what_signing_added_can_be_changed(name, runs, told):
    path = runs / "run-2" / name
    data = path.read_bytes()
    for at in range(0, len(data), 7):
        path.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
        assert told()[0] == 3, at
        assert told(runs / "run-2")[0] == 3, at
    path.unlink()
    assert told()[0] == 1


def test_a_file_that_was_put_there_later_is_named(runs, told):
    (runs / "run-1" / "evidence" / "better.csv").write_text("all held")
    (runs / "run-1" / "load" / "2.bin").symlink_to("1.bin")
    assert told() == (
        3,
        [
            "broken: run-1/evidence/better.csv: here, and not signed: put there later",
            "broken: run-1/load/2.bin: here, and not signed: put there later",
        ],
    )


def test_evidence_of_another_run_is_no_evidence_of_this_one(runs, told):
    shutil.rmtree(runs / "run-2")
    shutil.copytree(runs / "run-1", runs / "run-2")
    status, lines = told()
    assert status == 3
    assert "broken: run-2/evidence/attestation.json: it is on run run-1: put here from elsewhere" in lines


def test_a_run_whose_files_are_gone_is_missed(runs, told):
    shutil.rmtree(runs / "run-2")
    assert told() == (1, ["incomplete: run-2: the ledger has this run, and its files are not here"])


def lines_of(runs):
    return (runs / "ledger" / ENTRIES).read_bytes().splitlines(keepends=True)


EDITS = {
    "removed": lambda lines: [*lines[:2], *lines[3:]],
    "moved": lambda lines: [lines[0], lines[2], lines[1], *lines[3:]],
    "replayed": lambda lines: [*lines, lines[1]],
    "replayed in place": lambda lines: [*lines[:4], lines[1], *lines[5:]],
    "first removed": lambda lines: lines[1:],
    "last removed": lambda lines: lines[:-1],
    "all removed": lambda lines: [],
    "line breaks": lambda lines: [line.replace(b"\n", b"\r\n") for line in lines],
    "last line break": lambda lines: [*lines[:-1], lines[-1].rstrip()],
}


@pytest.mark.parametrize("edit", EDITS)
def test_a_ledger_whose_lines_were_edited_is_broken(edit, runs, told):
    (runs / "ledger" / ENTRIES).write_bytes(b"".join(EDITS[edit](lines_of(runs))))
    assert told()[0] == 3


def test_a_rollback_of_the_tail_shows_only_with_an_earlier_checkpoint(runs, ledger, told, capsys, tmp_path):
    before = (lines_of(runs), (runs / "ledger" / CHECKPOINT).read_bytes())
    recorded(ledger, "run-4")
    (tmp_path / "kept").write_bytes((runs / "ledger" / CHECKPOINT).read_bytes())
    shutil.rmtree(runs / "run-4")
    (runs / "ledger" / ENTRIES).write_bytes(b"".join(before[0]))
    (runs / "ledger" / CHECKPOINT).write_bytes(before[1])
    assert told() == (0, [])
    verify.main([str(runs), "--now", NOW])
    assert "rollback not excluded" in capsys.readouterr().out
    status, lines = told(None, "--checkpoint", str(tmp_path / "kept"))
    assert (status, lines) == (
        3,
        ["broken: earlier checkpoint: it was signed for 8 entries and 6 are here: the last were removed"],
    )


def test_a_history_that_was_written_anew_contradicts_an_earlier_checkpoint(runs, ledger, told, tmp_path):
    (tmp_path / "kept").write_bytes((runs / "ledger" / CHECKPOINT).read_bytes())
    shutil.rmtree(runs)
    runs.mkdir()
    again = Ledger(runs / "ledger", ledger.key, clock=Clock())
    for number in range(1, 6):
        recorded(again, f"run-{number}")
    assert told()[0] == 0
    status, lines = told(None, "--checkpoint", str(tmp_path / "kept"))
    assert status == 3
    assert any("not those it was signed for" in line for line in lines)


def test_a_foreign_key_is_named_and_an_unchecked_one_is_told(runs, told, key):
    other = "SHA256:" + "0" * 64
    status, lines = told(key=other)
    assert (status, lines) == (3, [f"broken: entries.jsonl: signed by a foreign key, {key.fingerprint}"])
    status, lines = told(key=None)
    assert status == 1
    assert key.fingerprint in lines[0]


def test_an_entry_by_a_foreign_key_is_found(runs, ledger, told, tmp_path):
    recorded(Ledger(ledger.directory, keys.make(tmp_path / "other.pem"), clock=ledger._clock), "run-4")
    assert told()[0] == 3


def test_a_throw_away_key_is_told(reports, clock, capsys):
    ledger = Ledger(reports / "ledger", keys.load(None, reports / "ledger"), clock=clock)
    recorded(ledger)
    assert verify.main([str(reports), "--now", NOW, "--key", ledger.key.fingerprint]) == 1
    assert "throw-away key" in capsys.readouterr().out
    assert (
        json.loads(_payload(reports / "run-1"))["predicate"]["configuration"][0]["annotations"]["key"] == "throw-away"
    )


def _payload(directory):
    return canonical(unseal((directory / ATTESTATION).read_bytes()).payload)


def test_a_clock_that_was_set_back_is_told(ledger, told):
    recorded(ledger, "run-1")
    ledger._clock.at -= timedelta(days=3)
    recorded(ledger, "run-2")
    status, lines = told()
    assert status == 1
    assert "a clock was set back" in lines[0]


RECORDS = {
    "names no time zone": {"scenarios": [scenario(ended="2026-01-01T02:00:00")]},
    "is there twice": {"scenarios": [scenario(), scenario()]},
    "and it says held": {"scenarios": [scenario(measurements=[measurement(value=0.5, outcome="held")])]},
    "it is of run 'run-0'": {"scenarios": [scenario(run="run-0")]},
    "artefact '../../secret' lies outside": {"scenarios": [scenario(artefacts=[{"path": "../../secret"}])]},
    "artefact 'run.json' changed": {"artefacts": [{"path": "run.json", "sha256": "0" * 64}]},
    "format 'pytest-enterprise/evidence/9' is not known": {"format": "pytest-enterprise/evidence/9"},
    "another type than its format says": {"scenarios": [scenario(artefacts=["x"])]},
}


@pytest.mark.parametrize("wrong", RECORDS)
def test_records_that_were_signed_and_make_no_sense_are_found(wrong, ledger, told):
    recorded(ledger, **RECORDS[wrong])
    status, lines = told()
    assert status == 3
    assert [line for line in lines if wrong in line], lines


def test_an_artefact_that_is_gone_is_missed(ledger, told):
    recorded(ledger, scenarios=[scenario(artefacts=[{"path": "gone.log", "sha256": "0" * 64}])])
    assert told() == (1, ["incomplete: run-1/evidence/evidence.jsonl:2: artefact 'gone.log' is not here"])


def test_a_clock_that_was_set_back_during_a_run_makes_it_doubtful_and_not_broken(ledger, told):
    recorded(ledger, scenarios=[scenario(ended="2025-01-01T00:00:00Z")])
    status, lines = told()
    assert status == 1
    assert lines[0].startswith("incomplete: run-1/evidence/evidence.jsonl:2: it ended before it began")


ODD = ["a\nb", "\u2028", "\x1b[31m", "<script>", "\x00", "\U0001f600", "'\"`$(x)", "../..", " ", "é" * 500]


def test_node_ids_of_every_kind_are_signed_and_verified(ledger, told):
    recorded(ledger, scenarios=[scenario(f"test_a.py::test_it[{text}]") for text in ODD])
    assert told() == (0, [])


def test_a_file_whose_name_is_no_text_is_told(ledger, reports, clock):
    ledger.begin("run-1", began=clock())
    directory = make_run(reports, "run-1")
    (directory / "evidence" / "odd-\udcff").write_text("x")
    with pytest.raises(ConfigurationError, match="is no UTF-8"):
        ledger.finish(directory)
    ledger.close("run-1")


def test_oscal_that_makes_no_sense_is_found_in_one_run_and_on_request_in_all(ledger, told, monkeypatch):
    from pytest_enterprise.evidence import ledger as module

    def stated(directory, **more):
        (directory / "evidence" / "oscal").mkdir()
        finding = {"start": "2026-01-02T00:00:00Z", "end": "2026-01-01T00:00:00Z"}
        (directory / "evidence" / "oscal" / "poam.json").write_text(json.dumps(finding))
        return statement(directory, **more)

    statement = module.statement
    monkeypatch.setattr(module, "statement", stated)
    directory = recorded(ledger)
    wrong = "broken: run-1/evidence/oscal/poam.json/end: 2026-01-01T00:00:00Z is before its start, 2026-01-02T00:00:00Z"
    assert told() == (0, [])
    assert told(None, "--documents") == (3, [wrong])
    assert told(directory) == (3, [wrong])


def test_a_statement_that_disagrees_with_the_records_is_found(ledger, told, reports, monkeypatch):
    from pytest_enterprise.evidence import ledger as module

    def embellished(*arguments, **more):
        document = statement(*arguments, **more)
        document["predicate"]["passedTests"] += document["predicate"].pop("failedTests")
        document["predicate"]["failedTests"] = []
        return document

    statement = module.statement
    monkeypatch.setattr(module, "statement", embellished)
    recorded(ledger, scenarios=[scenario(measurements=[measurement(value=0.1)])])
    status, lines = told()
    assert status == 3
    assert "is broken, and was signed as passed" in lines[0]


def test_a_slot_with_neither_run_nor_miss_is_told(ledger, told, clock):
    ledger.register(
        {
            "name": "nightly",
            "from": "2026-01-01T02:00:00Z",
            "until": "2026-01-04T02:00:00Z",
            "first": "2026-01-01T02:00:00Z",
            "every_seconds": 86400,
            "grace_seconds": 3600,
            "scenarios": [],
            "controls": {},
        }
    )
    recorded(ledger)
    slots = ["2026-01-02T02:00:00.000Z", "2026-01-03T02:00:00.000Z"]
    assert told() == (
        1,
        [f"incomplete: schedule nightly: {slot}: neither a run nor a record that it was missed" for slot in slots],
    )
    clock.at += timedelta(days=10)
    ledger.settle()
    assert told() == (0, [])


def test_a_miss_of_a_slot_that_had_a_run_is_a_contradiction(ledger, told, clock):
    plan = {
        "name": "n",
        "from": "2026-01-01T02:00:00Z",
        "until": "2026-01-02T02:00:00Z",
        "first": "2026-01-01T02:00:00Z",
    }
    ledger.register({**plan, "every_seconds": 86400, "grace_seconds": 3600, "scenarios": [], "controls": {}})
    recorded(ledger)
    with ledger._locked():
        ledger._append([ledger._record("missed", schedule="n", slot="2026-01-01T02:00:00Z")])
    status, lines = told()
    assert status == 3
    assert "recorded as missed, and run run-1 is there" in lines[0]


def test_a_schedule_that_came_after_its_slots_is_told(ledger, told, clock):
    clock.at += timedelta(days=1, hours=3)
    plan = {
        "name": "n",
        "from": "2026-01-01T02:00:00Z",
        "until": "2026-01-03T02:00:00Z",
        "first": "2026-01-01T02:00:00Z",
    }
    ledger.register({**plan, "every_seconds": 86400, "grace_seconds": 3600, "scenarios": [], "controls": {}})
    ledger.settle()
    assert "incomplete: schedule n: 2 slots began before it was registered" in told()[1]


@pytest.mark.parametrize("kind", ["tar.gz", "zip"])
def test_an_archive_is_verified_as_its_folder_is(kind, runs, told, tmp_path):
    archive = tmp_path / f"evidence.{kind}"
    if kind == "zip":
        with zipfile.ZipFile(archive, "w") as file:
            for path in runs.rglob("*"):
                file.write(path, path.relative_to(runs.parent))
    else:
        with tarfile.open(archive, "w:gz") as file:
            file.add(runs, "reports")
    assert told(archive) == (0, [])


@pytest.mark.parametrize(
    ("name", "kind"), [("../out", tarfile.REGTYPE), ("/out", tarfile.REGTYPE), ("in", tarfile.SYMTYPE)]
)
def test_an_archive_cannot_write_outside_of_itself(name, kind, tmp_path, capsys):
    archive = tmp_path / "evil.tar"
    with tarfile.open(archive, "w") as file:
        member = tarfile.TarInfo(name)
        member.type, member.linkname = kind, "/etc/passwd"
        file.addfile(member)
    assert verify.main([str(archive)]) == 2
    assert f"{name!r} in it is no file, or lies outside of it" in capsys.readouterr().err


@pytest.mark.parametrize("content", [None, b"", b"no archive"])
def test_where_there_is_no_evidence_the_status_says_so(content, tmp_path, capsys):
    path = tmp_path / "here"
    if content is None:
        path.mkdir()
    else:
        path.write_bytes(content)
    assert verify.main([str(path)]) == 2
    assert "here" in capsys.readouterr().err
    assert verify.main([str(tmp_path / "nowhere")]) == 2


def test_text_of_evidence_cannot_act_on_the_terminal(ledger, told):
    recorded(ledger, scenarios=[scenario("t.py::test[\x1b[2J]"), scenario("t.py::test[\x1b[2J]")])
    status, lines = told()
    assert status == 3
    assert "\x1b" not in "".join(lines)


def test_an_envelope_of_an_unknown_kind_is_told(runs, ledger, told):
    line = seal("application/json", {"kind": "x"}, ledger.key.public, ledger.key.sign)
    path = runs / "ledger" / ENTRIES
    path.write_bytes(path.read_bytes() + line + b"\n")
    status, lines = told()
    assert status == 3
    assert "broken: entries.jsonl:7: payload type 'application/json' is not known here" in lines


def test_a_sample_is_drawn_by_the_seed_alone_and_says_how_to_run_it_again(runs, capsys):
    def drawn(seed, count):
        assert verify.main([str(runs), "--sample", str(count), "--seed", seed, "--now", NOW]) == 0
        return capsys.readouterr().out.splitlines()

    assert drawn("a", 2) == drawn("a", 2)
    assert len({drawn(seed, 1)[1] for seed in "abcdefgh"}) == 3
    lines = drawn("a", 9)
    assert lines[0] == "3 of 3, drawn with seed 'a':"
    assert lines[1:4] == [
        "run-1: run, run run-1",
        "  scenarios/test_failover.py::test_primary: held",
        f"  again: git checkout {'a' * 40} && pytest scenarios/test_failover.py::test_primary --enterprise-seed=7",
    ]
    assert verify.main([str(runs), "--sample", "1"]) == 2


def test_local_runs_that_were_never_signed_are_counted(runs, capsys):
    make_run(runs, "local")
    verify.main([str(runs), "--now", NOW])
    assert "1 runs here are not signed" in capsys.readouterr().out
