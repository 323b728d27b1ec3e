"""What ``compare`` gets right: false alarms between two of the same, and a 7 % slow-down found.

Once simulated, with levels that wander from block to block as they do on a shared machine, and once for real: blocks of
calls against a little server that works 7 % longer for one side. Run it:
``python benchmarks/compare.py [REAL [SECONDS]]``.
"""

from __future__ import annotations

import math
import socket
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

from proxy import free_ports, started, wait_for

from pytest_enterprise.load.blocks import timed
from pytest_enterprise.load.comparing import Compare, order
from pytest_enterprise.objectives.comparison import compare_blocks
from pytest_enterprise.objectives.metrics import Block, named

SIMULATED = 200
REAL = 6
SLOWER = 1.07
NOISE = 0.02
"""Of a block's level, in logarithms: what blocks of a tenth of a second show on a machine that does other work too."""
TURNS = 40_000
"""Of a loop that the server makes for an answer: about a millisecond."""
SECONDS = 0.3
"""Of each block."""


def simulated(effect: float, seed: int, *, noise: float = NOISE, busy: float = 0.02) -> str:
    """The outcome of one comparison of 12 pairs: drift, wandering, noise, and some blocks hit by other work."""
    random = Random(seed)
    level, drift = random.gauss(0, 0.1), random.gauss(0, 0.002)
    pairs = []
    for first in order(12, seed):
        pair = [0.0, 0.0]
        for side in (first, 1 - first):
            level = 0.6 * level + random.gauss(0, noise * 0.8) + drift
            hit = random.uniform(0.1, 0.4) if random.random() < busy else 0.0
            pair[side] = math.exp(level + random.gauss(0, noise * 0.6) + hit) * (effect if side else 1.0)
        pairs.append((pair[0], pair[1]))
    return compare_blocks(pairs, named("median"), seed=seed).outcome


def serve(port: int) -> None:
    """Answer each line after as many turns of a loop as it says."""
    with socket.create_server(("127.0.0.1", port)) as listener:
        while True:
            connection, _ = listener.accept()
            with connection, connection.makefile("rb") as lines:
                for line in lines:
                    for _ in range(int(line)):
                        pass
                    connection.sendall(b"x")


def cpu_seconds(pid: int) -> float:
    """To the nanosecond, where /proc/PID/stat counts hundredths of a second."""
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9


def real(times: int, seconds: float) -> dict[float, dict[str, list[str]]]:
    """Outcomes by effect and metric: of comparing the same, and of comparing with what works 7 % longer."""
    outcomes: dict[float, dict[str, list[str]]] = {effect: {"median": [], "cpu": []} for effect in (1.0, SLOWER)}
    port = free_ports(1)[0]
    with started(sys.executable, __file__, "serve", str(port)) as process:
        wait_for(port)
        with socket.create_connection(("127.0.0.1", port)) as connection:

            def work(turns: float) -> Callable[[], Block]:
                text = b"%d\n" % turns

                def ask() -> None:
                    connection.sendall(text)
                    connection.recv(1)

                calls = timed(ask, seconds=seconds)

                def block() -> Block:
                    before = cpu_seconds(process.pid)
                    return replace(calls(), cpu_seconds=cpu_seconds(process.pid) - before)

                return block

            for number in range(times):
                for effect, by_metric in outcomes.items():
                    compare = Compare(seed=number, test=str(effect))
                    found = compare(work(TURNS), work(TURNS * effect), metric=list(by_metric))
                    for result in found.results:
                        by_metric[result.metric].append(result.outcome)
    return outcomes


def _share(outcomes: list[str]) -> str:
    found = outcomes.count("regression")
    return f"{found / len(outcomes):.3f} ({found} of {len(outcomes)})"


def measure(times: int = REAL, seconds: float = SECONDS) -> dict[str, Any]:
    """Rows of the table, goals beside."""
    rows: dict[str, Any] = {}
    same = [simulated(1.0, seed) for seed in range(SIMULATED)]
    alarms = sum(outcome in ("regression", "improved") for outcome in same)
    rows[f"false alarms, {SIMULATED} A/A simulated (at most 0.01)"] = f"{alarms / SIMULATED:.3f}"
    rows["  A/A not decided, share"] = f"{same.count('not decided') / SIMULATED:.3f}"
    rows["7 % slower found, simulated, blocks wander by 2 % (at least 0.9)"] = _share(
        [simulated(SLOWER, seed, busy=0.0) for seed in range(SIMULATED)]
    )
    rows["  the same, 2 % of the blocks hit by other work"] = _share(
        [simulated(SLOWER, seed) for seed in range(SIMULATED)]
    )
    rows["  the same, and blocks wander by 3 %"] = _share(
        [simulated(SLOWER, seed, noise=0.03) for seed in range(SIMULATED)]
    )
    found = real(times, seconds)
    for metric, what in (("median", "median latency"), ("cpu", "CPU per request")):
        alike = found[1.0][metric]
        alarms = sum(outcome in ("regression", "improved") for outcome in alike)
        rows[f"{what} of a server: false alarms, {times} A/A (at most 0.01)"] = f"{alarms / times:.3f}"
        rows[f"{what} of a server: 7 % slower found (at least 0.9)"] = _share(found[SLOWER][metric])
    return rows


if __name__ == "__main__":
    given = sys.argv[1:]
    if given[:1] == ["serve"]:
        serve(int(given[1]))
    for name, value in measure(*map(int, given[:1]), *map(float, given[1:])).items():
        print(f"{name:<75} {value:>32}")  # noqa: T201
