"""What the system's programs are told for a disturbance, and how their counters are read."""

import os

import pytest

from pytest_enterprise.engines import packets
from pytest_enterprise.packets import mechanism, tools
from pytest_enterprise.packets.disturbance import Counters, Disturbance
from pytest_enterprise.packets.namespace import BLOCKS, Block

EVERYTHING = Disturbance(loss=0.05, delay=0.02, jitter=0.005, duplicate=0.01, reorder=0.25)


def test_netem_is_told_all_of_it():
    words = " ".join(mechanism.netem(EVERYTHING))
    assert words == ("limit 100000 delay 20000us 5000us reorder 25.0000% loss 5.0000% duplicate 1.0000%")
    assert mechanism.netem(Disturbance(loss=0.5)) == ["limit", "100000", "loss", "50.0000%"]


def test_what_netem_doubled_is_what_it_sent_and_nobody_gave_it():
    shown = [[{"packets": 101, "drops": 4, "qlen": 3}], [{"packets": 10, "drops": 1}]]
    told = mechanism.netem_counters(EVERYTHING, shown, seen=112)
    assert told == Counters(seen=112, lost=5, delayed=111, duplicated=7)
    alone = mechanism.netem_counters(Disturbance(loss=0.1), shown, seen=112)
    assert (alone.delayed, alone.duplicated) == (0, 0)


def test_loss_alone_needs_no_forwarder():
    rules = mechanism.ruleset(Disturbance(loss=0.05))
    assert "numgen random mod 1000000 < 50000" in rules
    assert len([line for line in rules.splitlines() if "mark set" in line]) == 1
    assert not any("pe-tun" in line for line in mechanism.links_and_routes(Disturbance(loss=0.05), 1500))


def test_delays_alone_need_no_hole():
    rules = mechanism.ruleset(Disturbance(delay=0.05))
    assert "numgen" not in rules
    assert not any("pe-hole" in line for line in mechanism.links_and_routes(Disturbance(delay=0.05), 1500))


def test_blocks_do_not_overlap_and_stay_in_their_range():
    assert (Block(0).outside, Block(0).inside) == ("198.18.0.1", "198.18.0.2")
    assert (Block(1).outside, Block(1).inside) == ("198.18.0.5", "198.18.0.6")
    assert Block(BLOCKS - 1).inside == "198.19.255.254"
    assert len(Block(BLOCKS - 1).device) <= 15


@pytest.mark.parametrize(
    ("user", "lacking", "sentence"),
    [
        (1000, [], "by root only: run the tests as root"),
        (0, ["nftables"], "apt-get install nftables"),
    ],
)
def test_what_a_machine_lacks_is_said_with_the_way_to_get_it(monkeypatch, user, lacking, sentence):
    monkeypatch.setattr(os, "geteuid", lambda: user)
    monkeypatch.setattr(tools, "missing", lambda: lacking)
    assert sentence in packets.why_not.__wrapped__()


def test_a_program_that_fails_says_why():
    if tools.missing():
        pytest.skip("iproute2 or nftables is missing")
    with pytest.raises(tools.ToolFailed, match=r"ip link show pe-none: Device .* does not exist"):
        tools.run("ip", "link", "show", "pe-none")
    with pytest.raises(tools.ToolFailed, match="no program 'nothing'"):
        tools.PROGRAMS["nothing"] = "nowhere"
        try:
            tools.run("nothing")
        finally:
            del tools.PROGRAMS["nothing"]
