"""A run's directory, seed and ports."""

import json
import socket

import pytest

from pytest_enterprise.errors import ConfigurationError
from pytest_enterprise.ports import Ports
from pytest_enterprise.run import Run
from pytest_enterprise.settings import Settings


def test_a_run_leaves_its_description_and_is_the_latest(tmp_path, new_run):
    run = new_run(reports=str(tmp_path), seed=4)
    run.write(claims=[])
    run.events.emit("x")
    run.finish(exit_status=1)
    told = json.loads((tmp_path / "latest" / "run.json").read_text())
    assert (told["run"], told["seed"], told["exit_status"]) == (run.id, 4, 1)
    assert told["finished"] >= told["started"]
    assert (run.directory / "events.jsonl").exists()


def test_runs_draw_their_own_identity_and_seed(new_run):
    first, second = new_run(), new_run()
    assert first.id != second.id
    assert first.seed != second.seed


def test_a_directory_that_cannot_be_written_is_told_with_the_way_out(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match=r"cannot write .*--enterprise-reports"):
        Run(Settings(reports=str(tmp_path / "file")))


def test_no_port_is_given_twice_while_it_is_held():
    one, two = Ports(), Ports()
    taken = [ports.take() for _ in range(30) for ports in (one, two)]
    assert len(set(taken)) == len(taken)
    one.release()
    two.release()


def test_a_port_that_somebody_listens_on_is_not_given():
    ports = Ports()
    number = ports.take()
    ports.release()
    with socket.socket() as other:
        other.bind(("127.0.0.1", number))
        other.listen()
        again = Ports()
        assert number not in [again.take() for _ in range(200)]
        again.release()
