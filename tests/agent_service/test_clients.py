"""What one client may take of the service."""

from agent_service import clients
from agent_service.clients import Clients


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


def test_a_client_gets_its_rate_and_at_first_as_much_at_once():
    clock = Clock()
    known = Clients(clock)
    assert sum(known.admit("one", 5) for _ in range(20)) == 5
    clock.now += 0.4
    assert [known.admit("one", 5) for _ in range(3)] == [True, True, False]
    clock.now += 60
    assert sum(known.admit("one", 5) for _ in range(20)) == 5


def test_asking_in_vain_costs_nothing():
    clock = Clock()
    known = Clients(clock)
    admitted = 0
    for _ in range(1000):
        admitted += known.admit("one", 10)
        clock.now += 0.01
    assert 108 <= admitted <= 110


def test_clients_do_not_share_and_none_of_nothing_is_admitted():
    known = Clients(Clock())
    assert [known.admit(name, 1) for name in ("one", "two", "one", "two")] == [True, True, False, False]
    assert not known.admit("three", 0)


def test_only_so_many_are_remembered(monkeypatch):
    monkeypatch.setattr(clients, "_KNOWN", 2)
    known = Clients(Clock())
    for name in ("one", "two", "three"):
        assert known.admit(name, 1)
    assert not known.admit("three", 1)
    assert known.admit("one", 1), "the one that asked longest ago begins anew"
