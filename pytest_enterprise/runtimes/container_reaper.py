"""Removes a stack's containers and network when its pytest is gone: ``python -m ... NETWORK`` with a pipe as stdin.

The pipe ends when pytest does, SIGKILL included. What a stack removed itself is not there any more by then.
"""

from __future__ import annotations

import signal
import sys
import time

from pytest_enterprise.errors import EnterpriseError
from pytest_enterprise.runtimes import container_leftovers

_QUIET = 2
"""Empty lists in a row until it believes that no request of the dead process is still under way."""


def reap(network: str, *, interval: float = 0.5, limit: float = 60.0) -> int:
    """Remove everything with the network's label until nothing comes any more; how much it removed."""
    deadline = time.monotonic() + limit
    removed = quiet = 0
    while quiet < _QUIET and time.monotonic() < deadline:
        try:
            found = container_leftovers.of_network(network)
            removed += len(container_leftovers.remove(found))
        except EnterpriseError:
            found = []
        quiet = 0 if found else quiet + 1
        if quiet < _QUIET:
            time.sleep(interval)
    return removed


def main() -> int:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    if sys.stdin.buffer.read() != b"done":
        reap(sys.argv[1])
    return 0


if __name__ == "__main__":
    sys.exit(main())
