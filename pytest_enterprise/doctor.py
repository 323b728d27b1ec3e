"""``pytest-enterprise doctor``: what is on this machine, what is missing, and the command that gets it."""

from __future__ import annotations

import importlib.util
import platform
import sys
from collections.abc import Iterator
from typing import NamedTuple

from pytest_enterprise.engines import clock, disk, packets, resolver
from pytest_enterprise.engines.alertmanager import Alertmanager
from pytest_enterprise.engines.base import Engine
from pytest_enterprise.engines.envoy import Envoy
from pytest_enterprise.engines.etcd import Etcd
from pytest_enterprise.engines.postgres import Postgres
from pytest_enterprise.engines.prometheus import Prometheus
from pytest_enterprise.runtimes import cgroup


class Finding(NamedTuple):
    """One thing that was looked for."""

    what: str
    here: str
    """What was found; empty when it is missing."""
    way: str
    """How to get it."""
    needed: bool
    """Without it the process runtime cannot start the reference stack."""


_ENGINES: tuple[tuple[Engine, str], ...] = (
    (Etcd(name="etcd"), "etcd"),
    (Envoy(name="envoy"), "envoy"),
    (Postgres(name="postgres"), "postgres"),
    (Prometheus(name="prometheus"), "prometheus"),
    (Alertmanager(name="alertmanager"), "prometheus-alertmanager"),
)
_EXTRAS = {
    "proxy": ("uvloop", "httptools", "hpack", "toxiproxy"),
    "registry": ("aetcd",),
    "governance": ("psycopg",),
    "load": ("locust", "numpy"),
    "report": ("jinja2",),
    "containers": ("testcontainers",),
    "allure": ("allure_pytest",),
    "experiments": ("chaoslib", "jsonpath2"),
    "disk": ("mfusepy",),
    "clock": ("libfaketime",),
    "dns": ("dns",),
    "openslo": ("yaml",),
}
_NEEDED = {"proxy", "registry", "governance", "load"}


def findings() -> Iterator[Finding]:
    """Look at everything; what needs time (the Docker daemon) last."""
    linux = sys.platform == "linux"
    yield Finding(
        "platform",
        f"{platform.system()} {platform.release()}, Python {platform.python_version()}" if linux else "",
        "engines as processes need Linux; elsewhere use containers, or engines that run already (--enterprise-url)",
        needed=True,
    )
    for engine, program in _ENGINES:
        path = engine.locate(program)
        here = f"{engine.version()}  {path}" if path else ""
        yield Finding(engine.kind, here, engine.obtain, needed=True)
    for extra, modules in _EXTRAS.items():
        missing = [module for module in modules if importlib.util.find_spec(module) is None]
        way = f"pip install 'pytest-enterprise[{extra}]' ({', '.join(missing)} is missing)"
        yield Finding(f"extra {extra}", "" if missing else ", ".join(modules), way, needed=extra in _NEEDED)
    for controller, fault in (("cpu", "cpu"), ("memory", "memory"), ("pids", "processes")):
        reason = cgroup.why_not(controller)
        yield Finding(f"fault {fault}", "" if reason else "control groups", reason or "", needed=False)
    reason = disk.why_not()
    yield Finding("faults of disks", "" if reason else "FUSE", reason or "", needed=False)
    reason = clock.why_not()
    yield Finding("faults of clocks", "" if reason else "libfaketime", reason or "", needed=False)
    reason = resolver.why_not("process")
    yield Finding("faults of names", "" if reason else "a resolver on loopback", reason or "", needed=False)
    reason = packets.why_not()
    yield Finding("faults of packets", "" if reason else "network namespaces", reason or "", needed=False)
    yield from _containers()


def _containers() -> Iterator[Finding]:
    from pytest_enterprise.runtimes import container

    answers = container.docker_answers()
    way = "start Docker, or set DOCKER_HOST; without it engines run as processes"
    yield Finding("Docker daemon", "answers" if answers else "", way, needed=False)
    if answers:
        absent = [engine.kind for engine, _ in _ENGINES if container.find_image(engine) is None]
        way = f"pytest-enterprise images ({', '.join(absent)} is not built)"
        yield Finding("images", "" if absent else "every engine's", way, needed=False)


def doctor() -> int:
    """Print what was found; 1 when the process runtime lacks something."""
    found = list(findings())
    width = max(len(finding.what) for finding in found)
    for finding in found:
        mark = "ok     " if finding.here else "MISSING" if finding.needed else "absent "
        print(f"{mark}  {finding.what:<{width}}  {finding.here or finding.way}")  # noqa: T201
    lacking = [finding.what for finding in found if finding.needed and not finding.here]
    if lacking:
        print(f"\nThe process runtime lacks {', '.join(lacking)}.")  # noqa: T201
        return 1
    print("\nEverything that the process runtime needs is here.")  # noqa: T201
    return 0
