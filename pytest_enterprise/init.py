"""``pytest-enterprise init``: writes a first scenario, locustfile and workflow that pass as written."""

from __future__ import annotations

from pathlib import Path

from pytest_enterprise.errors import ConfigurationError

_CONFTEST = '''\
"""The stack under test. Replace the small server by your own command, or by `url="http://..."` of one that runs."""

import pytest

from pytest_enterprise import Link, Service, Stack


@pytest.fixture(scope="session")
def enterprise_stack_spec():
    return Stack(
        engines=[
            Service(
                name="shop",
                command=("{python}", "-m", "http.server", "{port}", "--bind", "{bind}"),
                ready_path="/",
            )
        ],
        links=[Link("load", "shop")],
    )
'''

_SCENARIO = '''\
"""A first scenario: what users of the shop feel when the network between is slow."""

import pytest

from pytest_enterprise import Availability, Latency


@pytest.mark.performance
@pytest.mark.scenario(claim="slow-network")
def test_users_feel_a_slow_network(stack, load, faults, objectives):
    with load("loadtests/shop.py", arrivals=100) as traffic:
        traffic.run_for(2)
        with faults.latency("load -> shop", 0.1) as slow:
            traffic.run_for(3)
        traffic.run_for(2)
    objectives.check(
        Availability(at_least=0.9, phase="during"),
        Latency(percentile=50, at_most=0.5, phase="during"),
        load=traffic,
        faults=[slow],
    )
'''

_LOCUSTFILE = '''\
"""Users of the shop. Also: locust -f loadtests/shop.py --host http://127.0.0.1:PORT --arrivals 100"""

from locust import task

from pytest_enterprise.load.users import EnterpriseUser


class Visitor(EnterpriseUser):
    @task
    def look(self):
        self.client.get("/")
'''

_CLAIMS = """\
# What somebody relies on, and the scenarios that prove it.
[[claim]]
id = "slow-network"
text = "The shop stays usable when the network adds 100 ms."
scenarios = ["scenarios/test_slow_network.py::test_users_feel_a_slow_network"]
"""

_WORKFLOW = """\
name: scenarios
on:
  push:
  schedule:
    - cron: "17 3 * * *"
jobs:
  scenarios:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v4
      - uses: actions/setup-python@v5
        with:
          python-version: "3.12"
      - run: pip install 'pytest-enterprise[proxy,load,report]'
      - run: pytest scenarios
      - uses: actions/upload-artifact@v4
        if: always()
        with:
          name: reports
          path: reports/
"""

FILES = {
    "scenarios/conftest.py": _CONFTEST,
    "scenarios/test_slow_network.py": _SCENARIO,
    "loadtests/shop.py": _LOCUSTFILE,
    "claims.toml": _CLAIMS,
    ".github/workflows/scenarios.yml": _WORKFLOW,
}


def init(directory: Path) -> int:
    """Write :data:`FILES` into ``directory``; raises ConfigurationError, and writes nothing, where one exists."""
    there = [name for name in FILES if (directory / name).exists()]
    if there:
        raise ConfigurationError(
            f"init: {', '.join(there)} exists in {directory.absolute()}; nothing was written. "
            "Move it away, or give another directory"
        )
    for name, text in FILES.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        print(f"wrote {path}")  # noqa: T201
    print("Now: pytest scenarios")  # noqa: T201
    return 0
