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
    from pytest_enterprise.load.arrivals import Constant, Poisson, Ramp, Spike, Step, Trace
    from pytest_enterprise.load.blocks import load_block, timed
    from pytest_enterprise.load.native.grpc_call import GrpcCall
    from pytest_enterprise.load.native.postgres_query import PostgresQuery
    from pytest_enterprise.load.native.redis_command import RedisCommand
    from pytest_enterprise.load.native.request import Expect, HttpRequest
    from pytest_enterprise.objectives import (
        Availability,
        Block,
        BurnRate,
        Correctness,
        Durability,
        ErrorBudget,
        Fact,
        Freshness,
        Growth,
        Latency,
        Metric,
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
    "Block": "pytest_enterprise.objectives",
    "BurnRate": "pytest_enterprise.objectives",
    "Constant": "pytest_enterprise.load.arrivals",
    "Correctness": "pytest_enterprise.objectives",
    "Discovery": "pytest_enterprise.engines.discovery",
    "Durability": "pytest_enterprise.objectives",
    "Envoy": "pytest_enterprise.engines.envoy",
    "ErrorBudget": "pytest_enterprise.objectives",
    "Etcd": "pytest_enterprise.engines.etcd",
    "Expect": "pytest_enterprise.load.native.request",
    "External": "pytest_enterprise.engines.external",
    "Fact": "pytest_enterprise.objectives",
    "Freshness": "pytest_enterprise.objectives",
    "GrpcCall": "pytest_enterprise.load.native.grpc_call",
    "Growth": "pytest_enterprise.objectives",
    "HttpRequest": "pytest_enterprise.load.native.request",
    "Latency": "pytest_enterprise.objectives",
    "Link": "pytest_enterprise.stack",
    "Metric": "pytest_enterprise.objectives",
    "Poisson": "pytest_enterprise.load.arrivals",
    "Postgres": "pytest_enterprise.engines.postgres",
    "PostgresQuery": "pytest_enterprise.load.native.postgres_query",
    "Prometheus": "pytest_enterprise.engines.prometheus",
    "Ramp": "pytest_enterprise.load.arrivals",
    "Recovery": "pytest_enterprise.objectives",
    "RedisCommand": "pytest_enterprise.load.native.redis_command",
    "Refusals": "pytest_enterprise.objectives",
    "Service": "pytest_enterprise.engines.service",
    "Spike": "pytest_enterprise.load.arrivals",
    "Stack": "pytest_enterprise.stack",
    "Step": "pytest_enterprise.load.arrivals",
    "Throughput": "pytest_enterprise.objectives",
    "TimeToDetect": "pytest_enterprise.objectives",
    "Trace": "pytest_enterprise.load.arrivals",
    "load_block": "pytest_enterprise.load.blocks",
    "timed": "pytest_enterprise.load.blocks",
    "watch": "pytest_enterprise.objectives",
}

__all__ = [
    "Alertmanager",
    "Availability",
    "Block",
    "BurnRate",
    "Constant",
    "Correctness",
    "Discovery",
    "Durability",
    "Envoy",
    "ErrorBudget",
    "Etcd",
    "Expect",
    "External",
    "Fact",
    "Freshness",
    "Growth",
    "GrpcCall",
    "HttpRequest",
    "Latency",
    "Link",
    "Metric",
    "Poisson",
    "Postgres",
    "PostgresQuery",
    "Prometheus",
    "Ramp",
    "Recovery",
    "RedisCommand",
    "Refusals",
    "Service",
    "Spike",
    "Stack",
    "Step",
    "Throughput",
    "TimeToDetect",
    "Trace",
    "load_block",
    "timed",
    "watch",
]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        from importlib import import_module

        return getattr(import_module(_HOME[name]), name)
    raise AttributeError(f"module 'pytest_enterprise' has no attribute {name!r}")
