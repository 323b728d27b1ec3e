"""Which runtime a stack gets: the setting ``runtime``, or by what this machine has."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_enterprise.errors import ConfigurationError

if TYPE_CHECKING:
    from pytest_enterprise.run import Run
    from pytest_enterprise.runtimes.base import Runtime
    from pytest_enterprise.stack import Stack


def runtime_name(setting: str, stack: Stack) -> str:
    """``process`` or ``container`` for the engines of a stack that do not run elsewhere already.

    ``auto`` takes containers when a Docker daemon answers and every image is there, else processes.
    """
    if setting != "auto":
        return setting
    from pytest_enterprise.runtimes import container

    ours = [engine for engine in stack.engines if not engine.url]
    if not ours or not container.docker_answers():
        return "process"
    from pytest_enterprise.engines.fault_proxy import FaultProxy

    if stack.links:
        ours.append(FaultProxy(name="proxy"))
    return "container" if all(container.find_image(engine) for engine in ours) else "process"


def make(name: str, run: Run) -> Runtime:
    """A runtime of that name for a run; its module is imported only now."""
    if name == "process":
        from pytest_enterprise.runtimes.process import ProcessRuntime

        return ProcessRuntime(run)
    if name == "container":
        from pytest_enterprise.runtimes.container import ContainerRuntime

        return ContainerRuntime(run)
    if name == "external":
        from pytest_enterprise.runtimes.external import ExternalRuntime

        return ExternalRuntime(run)
    raise ConfigurationError(f"runtime {name!r} is not one of process, container, external")
