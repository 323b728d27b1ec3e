"""Envoy's resources (xDS version 3, in JSON) for one gateway: clusters, their endpoints and the routes to them.

The figures are for services whose requests are idempotent and end within a second.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Resource = dict[str, Any]

TYPES = {
    "clusters": "type.googleapis.com/envoy.config.cluster.v3.Cluster",
    "endpoints": "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment",
    "routes": "type.googleapis.com/envoy.config.route.v3.RouteConfiguration",
}
"""The last part of the path of ``POST /v3/discovery:...`` to the type of what it answers."""
SOURCE = "discovery"
"""The cluster, in a gateway's own configuration, from which it fetches the rest."""
ROUTES = "routes"
"""The name of the route configuration."""

ELSEWHERE = "x-retry-elsewhere"
"""The header by which an instance says that it alone cannot answer now: the gateway asks another one."""

_HTTP = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
_PREVIOUS = "envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate"


def source() -> Resource:
    """Where a gateway fetches a resource: from discovery, which answers when there is something new."""
    return {
        "resource_api_version": "V3",
        "api_config_source": {
            "api_type": "REST",
            "transport_api_version": "V3",
            "cluster_names": [SOURCE],
            "refresh_delay": "0.05s",
            "request_timeout": "10s",
        },
    }


def cluster(service: str, *, ready_path: str, health_checks: bool = True) -> Resource:
    """A service whose endpoints come from elsewhere: :func:`assignment` inline, or discovery."""
    made: Resource = {
        "@type": TYPES["clusters"],
        "name": service,
        "connect_timeout": "0.25s",
        "lb_policy": "LEAST_REQUEST",
        "ignore_health_on_host_removal": True,
        "common_lb_config": {"healthy_panic_threshold": {"value": 0}, "update_merge_window": "0s"},
        "circuit_breakers": {
            "thresholds": [
                {
                    "max_connections": 1024,
                    "max_pending_requests": 1024,
                    "max_requests": 1024,
                    "track_remaining": True,
                    "retry_budget": {"budget_percent": {"value": 50}, "min_retry_concurrency": 20},
                }
            ]
        },
        "typed_extension_protocol_options": {
            _HTTP: {
                "@type": f"type.googleapis.com/{_HTTP}",
                "common_http_protocol_options": {"idle_timeout": "30s"},
                "explicit_http_config": {"http_protocol_options": {}},
            }
        },
    }
    if health_checks:
        made["health_checks"] = [
            {
                "timeout": "0.2s",
                "interval": "0.5s",
                "no_traffic_interval": "0.5s",
                "initial_jitter": "0.01s",
                "unhealthy_threshold": 2,
                "healthy_threshold": 1,
                "http_health_check": {"path": ready_path},
            }
        ]
        made["outlier_detection"] = {
            # Only what looks broken from here (refused, reset, silent): a service that refuses honestly, because
            # something behind all of its replicas is away, must stay in the routes.
            "split_external_local_origin_errors": True,
            "consecutive_local_origin_failure": 5,
            "enforcing_consecutive_local_origin_failure": 100,
            "enforcing_consecutive_gateway_failure": 0,
            "enforcing_consecutive_5xx": 0,
            "enforcing_success_rate": 0,
            "enforcing_local_origin_success_rate": 0,
            "interval": "0.5s",
            "base_ejection_time": "3s",
            "max_ejection_percent": 60,
        }
    return made


def assignment(service: str, endpoints: Sequence[str]) -> Resource:
    """The endpoints (``host:port``) of a service."""
    hosts = [endpoint.rpartition(":")[::2] for endpoint in endpoints]
    return {
        "@type": TYPES["endpoints"],
        "cluster_name": service,
        "endpoints": [
            {
                "lb_endpoints": [
                    {"endpoint": {"address": {"socket_address": {"address": host, "port_value": int(port)}}}}
                    for host, port in hosts
                ]
            }
        ],
    }


def routes(prefixes: Mapping[str, str], *, retries: bool = True) -> Resource:
    """The routes of a gateway: path prefix to service."""
    action: Resource = {"timeout": "3s"}
    if retries:
        action["retry_policy"] = {
            # Not on 5xx: what the service refused on purpose is for the user to try again, as its answer says.
            # Only where it says that another instance may well do it.
            "retry_on": "connect-failure,refused-stream,reset,retriable-headers",
            "retriable_headers": [{"name": ELSEWHERE, "present_match": True}],
            "num_retries": 3,
            "per_try_timeout": "0.9s",
            "retry_back_off": {"base_interval": "0.01s", "max_interval": "0.1s"},
            "retry_host_predicate": [
                {
                    "name": "envoy.retry_host_predicates.previous_hosts",
                    "typed_config": {"@type": f"type.googleapis.com/{_PREVIOUS}"},
                }
            ],
            "host_selection_retry_max_attempts": 5,
        }
    return {
        "@type": TYPES["routes"],
        "name": ROUTES,
        "virtual_hosts": [
            {
                "name": "all",
                "domains": ["*"],
                "routes": [
                    {"match": {"prefix": prefix}, "route": {"cluster": service, **action}}
                    # The longest first: Envoy takes the first that fits.
                    for prefix, service in sorted(prefixes.items(), key=lambda pair: -len(pair[0]))
                ],
            }
        ],
    }
