"""Each toxic: its effect on real connections, and none any more after its removal."""

from __future__ import annotations

import itertools
import socket
import time

import pytest

from pytest_enterprise.proxy.toxics import KINDS


@pytest.fixture
def link(control, echo):
    """The address of a link named "link" to an echo server."""
    return control.create(echo.address)


@pytest.mark.parametrize("kind", sorted(KINDS))
@pytest.mark.parametrize("stream", ["upstream", "downstream"])
def test_toxicity_0_disturbs_nothing(control, link, wire, kind, stream):
    """A toxic that is drawn for no connection changes nothing, on live ones and on later ones."""
    live = wire(link)
    live.echo()
    control.toxic(kind, stream=stream, toxicity=0)
    assert live.echo() < 5
    assert wire(link).echo() < 5
    control.remove()
    live.echo()
    assert control.counters()["toxics"]["t"]["connections"] == 0


@pytest.mark.parametrize("stream", ["upstream", "downstream"])
def test_noop_passes_everything_and_counts(control, link, wire, stream):
    control.toxic("noop", stream=stream)
    wire(link).echo(b"12345")
    assert control.counters()["toxics"]["t"] == {
        "chunks": 1,
        "bytes": 5,
        "connections": 1,
        "dropped_bytes": 0,
        "delayed_ms": 0,
    }


@pytest.mark.parametrize("stream", ["upstream", "downstream"])
def test_latency_delays_until_it_is_removed(control, link, wire, stream):
    control.toxic("latency", stream=stream, latency=400)
    client = wire(link)
    assert client.echo() >= 0.4
    assert control.counters()["toxics"]["t"]["delayed_ms"] >= 400
    control.remove()
    assert client.echo() < 0.4


def test_latency_delays_the_end_too(control, link, wire):
    control.toxic("latency", latency=300)
    client = wire(link)
    began = time.monotonic()
    client.socket.shutdown(socket.SHUT_WR)
    assert client.read_all() == b""
    assert time.monotonic() - began >= 0.3


def test_latency_keeps_the_throughput(control, link, wire):
    """Many chunks are on their way at once."""
    control.toxic("latency", latency=200)
    client = wire(link)
    began = time.monotonic()
    for _ in range(40):
        client.send(b"x" * 100)
        time.sleep(0.005)
    assert client.read(4000) == b"x" * 4000
    assert time.monotonic() - began < 8


def test_removed_latency_lets_go_of_what_it_held_at_once_and_in_order(control, link, wire, eventually):
    control.toxic("latency", latency=60_000)
    client = wire(link)
    client.send(b"first")
    eventually(lambda: control.counters()["toxics"]["t"]["bytes"] == 5)
    client.send(b"second")
    eventually(lambda: control.counters()["toxics"]["t"]["bytes"] == 11)
    control.remove()
    assert client.read(11) == b"firstsecond"


def test_jitter_keeps_the_order_and_stays_in_its_bounds(control, link, wire):
    control.toxic("latency", latency=60, jitter=50)
    client = wire(link)
    times = [client.echo() for _ in range(8)]
    assert min(times) >= 0.01
    assert len({round(value, 3) for value in times}) > 1
    for number in range(30):
        client.send(b"%02d" % number)
    assert client.read(60) == b"".join(b"%02d" % number for number in range(30))


def test_bandwidth_limits_the_rate_until_it_is_removed(control, link, wire):
    control.toxic("bandwidth", rate=100)
    client = wire(link)
    assert client.echo(b"x" * 50_000) >= 0.49
    control.remove()
    assert client.echo(b"x" * 50_000) < 0.49


def test_bandwidth_0_stalls_until_the_rate_is_changed(control, link, wire):
    control.toxic("bandwidth", rate=0)
    client = wire(link)
    client.send(b"ping")
    assert client.silent()
    assert control.post("/proxies/link/toxics/t", {"attributes": {"rate": 1000}}).status == 200
    assert client.read(4) == b"ping"


def test_slow_close_delays_only_the_end(control, link, wire):
    control.toxic("slow_close", delay=400)
    client = wire(link)
    assert client.echo() < 0.4
    began = time.monotonic()
    client.socket.shutdown(socket.SHUT_WR)
    assert client.read_all() == b""
    assert time.monotonic() - began >= 0.4
    control.remove()
    client = wire(link)
    client.socket.shutdown(socket.SHUT_WR)
    began = time.monotonic()
    assert client.read_all() == b""
    assert time.monotonic() - began < 0.4


def test_timeout_drops_data_and_closes(control, link, wire):
    control.toxic("timeout", timeout=200)
    client = wire(link)
    began = time.monotonic()
    client.send(b"ping")
    assert client.read_all() == b""
    assert time.monotonic() - began >= 0.19
    assert control.counters()["toxics"]["t"]["dropped_bytes"] == 4
    control.remove()
    wire(link).echo()


def test_timeout_starts_again_with_each_chunk(control, link, wire):
    control.toxic("timeout", timeout=500, stream="upstream")
    client = wire(link)
    began = time.monotonic()
    for _ in range(4):
        client.send(b"x")
        time.sleep(0.1)
    assert client.read_all() == b""
    assert time.monotonic() - began >= 0.75


def test_timeout_0_never_closes_but_its_removal_does(control, link, wire):
    control.toxic("timeout", timeout=0)
    client = wire(link)
    client.send(b"ping")
    assert client.silent()
    control.remove()
    assert client.read_all() == b""
    wire(link).echo()


def test_reset_peer_resets_later_connections_and_ends_earlier_ones(control, link, wire):
    earlier = wire(link)
    earlier.echo()
    control.toxic("reset_peer", timeout=0)
    earlier.send(b"ping")
    assert earlier.read_all() == b""
    later = wire(link)
    later.send(b"ping")
    with pytest.raises(ConnectionResetError):
        later.read_all()
    assert control.counters()["connections_reset"] == 1
    control.remove()
    wire(link).echo()


def test_reset_peer_waits_from_the_first_data(control, link, wire):
    control.toxic("reset_peer", timeout=300)
    client = wire(link)
    assert client.silent()
    began = time.monotonic()
    client.send(b"ping")
    with pytest.raises(ConnectionResetError):
        client.read_all()
    assert time.monotonic() - began >= 0.3


def test_slicer_cuts_into_pieces_apart_in_time(control, echo, wire, serve):
    """Each piece is one read of the server, in the sizes asked for, and nothing is lost."""
    pieces = []

    def collect(connection):
        while data := connection.recv(65536):
            pieces.append(data)

    control.create(serve(collect).address, name="other")
    link = control.create(serve(collect).address)
    control.toxic("slicer", stream="upstream", average_size=100, size_variation=20, delay=20_000)
    client = wire(link)
    client.send(bytes(range(250)) * 4)
    client.socket.shutdown(socket.SHUT_WR)
    assert client.read_all() == b""
    assert b"".join(pieces) == bytes(range(250)) * 4
    # A busy machine may join neighbours, never cut smaller.
    assert len(pieces) >= 4
    assert all(len(piece) >= 80 for piece in pieces[:-1])


def test_removed_slicer_cuts_no_more(control, link, wire):
    control.toxic("slicer", average_size=1, delay=1_000_000)
    client = wire(link)
    client.send(b"abcdef")
    assert client.read(1) == b"a"
    control.remove()
    assert client.read(5) == b"bcdef"
    assert client.echo(b"abcdef") < 1


@pytest.mark.parametrize("limit", [0, 1, 5, 9])
def test_limit_data_passes_exactly_its_bytes_and_closes(control, link, wire, limit):
    control.toxic("limit_data", bytes=limit)
    client = wire(link)
    client.send(b"0123456789")
    assert client.read_all() == b"0123456789"[:limit]
    control.remove()
    wire(link).echo()


def test_limit_data_counts_over_chunks(control, link, wire):
    control.toxic("limit_data", bytes=6)
    client = wire(link)
    client.echo(b"0123")
    client.send(b"4567")
    assert client.read_all() == b"45"


def test_loss_is_a_share_and_total_at_1(control, link, wire, eventually):
    control.toxic("loss", probability=1)
    client = wire(link)
    client.send(b"gone")
    eventually(lambda: control.counters()["toxics"]["t"]["dropped_bytes"] == 4)
    control.remove()
    client.echo()


def test_blackhole_swallows_and_its_removal_closes_what_lost_something(control, link, wire, eventually):
    untouched = wire(link)
    untouched.echo()
    control.toxic("blackhole")
    client = wire(link)
    client.send(b"ping")
    assert client.silent()
    assert control.counters()["toxics"]["t"]["dropped_bytes"] == 4
    control.remove()
    assert client.read_all() == b""
    untouched.echo()
    wire(link).echo()


def test_blackhole_swallows_the_end_of_its_direction(control, wire, serve, eventually):
    """The server does not learn that the client went away, until the hole is gone."""
    ended = []

    def note(connection):
        ended.append(connection.recv(1))

    link = control.create(serve(note).address)
    control.toxic("blackhole", stream="upstream")
    client = wire(link)
    client.socket.close()
    eventually(lambda: control.counters()["toxics"]["t"]["connections"] == 1)
    time.sleep(0.1)
    assert ended == []
    control.remove()
    eventually(lambda: ended == [b""])


def test_freeze_holds_everything_and_loses_nothing(control, link, wire, eventually):
    control.toxic("freeze")
    client = wire(link)
    client.send(b"ping")
    client.socket.shutdown(socket.SHUT_WR)
    assert client.silent()
    eventually(lambda: control.counters()["toxics"]["t"]["bytes"] == 4)
    control.remove()
    assert client.read_all() == b"ping"
    wire(link).echo()


def test_freeze_pushes_back_on_the_sender(control, wire, serve):
    """More than fits is neither read nor lost: the sender blocks, and all of it arrives in the end."""
    received = []

    def count(connection):
        while data := connection.recv(65536):
            received.append(len(data))

    link = control.create(serve(count).address)
    control.toxic("freeze", stream="upstream")
    client = wire(link)
    client.socket.settimeout(0.3)
    sent = 0
    with pytest.raises(TimeoutError):
        for _ in itertools.repeat(None, 1000):
            sent += client.socket.send(b"x" * 65536)
    assert control.counters()["toxics"]["t"]["bytes"] < 200_000
    control.remove()
    client.socket.settimeout(10)
    client.socket.shutdown(socket.SHUT_WR)
    assert client.read_all() == b""
    assert sum(received) == sent


@pytest.mark.parametrize("kind", ["latency", "freeze", "blackhole", "bandwidth", "timeout"])
def test_other_links_feel_nothing(control, link, echo, wire, kind):
    other = control.create(echo.address, name="other")
    control.toxic(kind, **{"latency": {"latency": 60_000}}.get(kind, {}))
    hit = wire(link)
    hit.send(b"x")
    assert wire(other).echo(b"y" * 100_000) < 10
    assert hit.silent(0.05)


def test_toxics_act_one_after_the_other(control, link, wire):
    """Data pass the toxics in the order in which they were added."""
    control.toxic("limit_data", name="limit", bytes=3)
    control.toxic("latency", name="latency", latency=200)
    client = wire(link)
    began = time.monotonic()
    client.send(b"12345")
    assert client.read_all() == b"123"
    assert time.monotonic() - began >= 0.2


def test_toxicity_is_drawn_again_when_changed(control, link, wire):
    control.toxic("freeze", toxicity=0)
    client = wire(link)
    client.echo()
    control.post("/proxies/link/toxics/t", {"toxicity": 1})
    client.send(b"held")
    assert client.silent()
    control.post("/proxies/link/toxics/t", {"toxicity": 0})
    assert client.read(4) == b"held"


def fates(control, wire, link, count=24):
    """For each of ``count`` connections, whether the toxic dropped its data."""
    found = []
    for _ in range(count):
        client = wire(link)
        before = control.counters()["toxics"]["t"]["dropped_bytes"]
        client.send(b"x")
        while True:
            counters = control.counters()
            dropped = counters["toxics"]["t"]["dropped_bytes"] > before
            if dropped or counters["bytes_downstream"] > sum(not fate for fate in found):
                break
        found.append(dropped)
    return found


@pytest.mark.parametrize(
    "toxic",
    [
        {"type": "blackhole", "toxicity": 0.5},
        {"type": "loss", "attributes": {"probability": 0.5}},
    ],
)
def test_the_seed_reproduces_every_choice(program, echo, wire, toxic):
    """Two proxies of one seed choose alike, one of another seed does not."""
    runs = []
    for seed in ("1", "1", "2"):
        control = program("-seed", seed).control
        link = control.create(echo.address)
        assert control.post("/proxies/link/toxics", {"name": "t", **toxic}).status == 200
        runs.append(fates(control, wire, link))
    assert runs[0] == runs[1]
    assert runs[0] != runs[2]
    assert set(runs[0]) == {True, False}


def binomial_bounds(count, share):
    """Between which 99.9 % of all outcomes lie."""
    below, low, high, term = 0.0, None, None, (1 - share) ** count
    for successes in range(count + 1):
        below += term
        if low is None and below > 0.0005:
            low = successes
        if high is None and below >= 0.9995:
            high = successes
        term *= (count - successes) / (successes + 1) * share / (1 - share)
    return low, high


def test_bounds_are_those_of_the_binomial():
    assert binomial_bounds(400, 0.3) == (91, 151)


@pytest.mark.parametrize("share", [0.1, 0.5])
def test_loss_hits_as_many_chunks_as_chance_would(control, link, wire, share):
    control.toxic("loss", stream="upstream", probability=share)
    client = wire(link)
    lost = 0
    for sent in range(1, 501):
        client.send(b"x")
        while True:
            counters = control.counters()
            if counters["toxics"]["t"]["dropped_bytes"] > lost:
                lost += 1
                break
            if counters["bytes_downstream"] == sent - lost:
                break
    low, high = binomial_bounds(500, share)
    assert low <= lost <= high


@pytest.mark.parametrize("toxicity", [0.1, 0.5])
def test_toxicity_hits_as_many_connections_as_chance_would(control, link, wire, toxicity):
    control.toxic("noop", toxicity=toxicity)
    for _ in range(400):
        with wire(link) as client:
            client.echo()
    low, high = binomial_bounds(400, toxicity)
    assert low <= control.counters()["toxics"]["t"]["connections"] <= high
