"""``GET /metrics``: Toxiproxy's counters in Prometheus's text format."""

from __future__ import annotations

from http import HTTPStatus

from pytest_enterprise.http_server import Response
from pytest_enterprise.proxy.collection import Collection
from pytest_enterprise.proxy.control import Router

_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def _escape(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def render(collection: Collection) -> str:
    """All counters, as text."""
    lines = []
    for index, verb in enumerate(("received", "sent")):
        name = f"toxiproxy_proxy_{verb}_bytes_total"
        lines += [f"# HELP {name} The total number of bytes {verb} on a given proxy.", f"# TYPE {name} counter"]
        for link in collection.links.values():
            for direction, carried in zip(("upstream", "downstream"), link.carried(), strict=True):
                labels = {
                    "direction": direction,
                    "listener": link.listen,
                    "proxy": link.name,
                    "upstream": link.upstream,
                }
                text = ",".join(f'{key}="{_escape(value)}"' for key, value in labels.items())
                lines.append(f"{name}{{{text}}} {carried[index]}")
    return "\n".join(lines) + "\n"


def routes(router: Router) -> None:
    async def metrics() -> Response:
        return Response(HTTPStatus.OK, render(router.collection).encode(), _TYPE)

    router.add("/metrics", GET=metrics)
