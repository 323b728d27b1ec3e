"""A pytest plugin and chaos/load harness: a stack of real servers, loaded, broken, judged, with evidence.

Everything here is imported on first use, so that pytest runs that do not use the plugin pay nothing for it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pytest_enterprise.engines.alertmanager import Alertmanager
    from pytest_enterprise.engines.discovery import Discovery
    from pytest_enterprise.engines.envoy import Envoy
    from pytest_enterprise.engines.etcd import Etcd
    from pytest_enterprise.engines.external import External
    from pytest_enterprise.engines.postgres import Postgres
    from pytest_enterprise.engines.prometheus import Prometheus
    from pytest_enterprise.engines.service import Service
    from pytest_enterprise.objectives import (
        Availability,
        BurnRate,
        Correctness,
        Durability,
        ErrorBudget,
        Fact,
        Freshness,
        Latency,
        Recovery,
        Refusals,
        Throughput,
        TimeToDetect,
        watch,
    )
    from pytest_enterprise.stack import Link, Stack

__version__ = "0.1.0"

_HOME = {
    "Alertmanager": "pytest_enterprise.engines.alertmanager",
    "Availability": "pytest_enterprise.objectives",
    "BurnRate": "pytest_enterprise.objectives",
    "Correctness": "pytest_enterprise.objectives",
    "Discovery": "pytest_enterprise.engines.discovery",
    "Durability": "pytest_enterprise.objectives",
    "Envoy": "pytest_enterprise.engines.envoy",
    "ErrorBudget": "pytest_enterprise.objectives",
    "Etcd": "pytest_enterprise.engines.etcd",
    "External": "pytest_enterprise.engines.external",
    "Fact": "pytest_enterprise.objectives",
    "Freshness": "pytest_enterprise.objectives",
    "Latency": "pytest_enterprise.objectives",
    "Link": "pytest_enterprise.stack",
    "Postgres": "pytest_enterprise.engines.postgres",
    "Prometheus": "pytest_enterprise.engines.prometheus",
    "Recovery": "pytest_enterprise.objectives",
    "Refusals": "pytest_enterprise.objectives",
    "Service": "pytest_enterprise.engines.service",
    "Stack": "pytest_enterprise.stack",
    "Throughput": "pytest_enterprise.objectives",
    "TimeToDetect": "pytest_enterprise.objectives",
    "watch": "pytest_enterprise.objectives",
}

__all__ = [
    "Alertmanager",
    "Availability",
    "BurnRate",
    "Correctness",
    "Discovery",
    "Durability",
    "Envoy",
    "ErrorBudget",
    "Etcd",
    "External",
    "Fact",
    "Freshness",
    "Latency",
    "Link",
    "Postgres",
    "Prometheus",
    "Recovery",
    "Refusals",
    "Service",
    "Stack",
    "Throughput",
    "TimeToDetect",
    "watch",
]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        from importlib import import_module

        return getattr(import_module(_HOME[name]), name)
    raise AttributeError(f"module 'pytest_enterprise' has no attribute {name!r}")
