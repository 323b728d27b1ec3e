"""Chaos Toolkit experiments as tests, and what they may ask of the running stack.

Activities of an experiment use the functions here through the ``python`` provider::

    {"type": "action", "name": "slow network", "provider": {
        "type": "python", "module": "pytest_enterprise.experiments", "func": "begin_fault",
        "arguments": {"fault": "latency", "target": "load -> shop", "settings": {"delay": 0.1}}}}

They need a stack (``enterprise_stack_spec``). Its addresses are in the environment: ``ENTERPRISE_URL_SHOP``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pytest_enterprise.errors import ConfigurationError

if TYPE_CHECKING:
    from pytest_enterprise.experiments.handle import Handle

HANDLE = "pytest_enterprise"
"""Where an experiment's configuration holds what the functions work with."""


def _handle(configuration: Mapping[str, Any] | None) -> Handle:
    handle = (configuration or {}).get(HANDLE)
    if handle is None:
        raise ConfigurationError(
            "this activity needs a running stack: write a fixture enterprise_stack_spec in conftest.py, and run the "
            "experiment with pytest"
        )
    found: Handle = handle
    return found


def begin_fault(
    fault: str,
    target: str = "",
    settings: Mapping[str, Any] | None = None,
    configuration: Mapping[str, Any] | None = None,
) -> str:
    """Begin a fault of the catalogue; the id by which it can be ended."""
    return _handle(configuration).begin_fault(fault, target, settings or {})


def end_fault(id: str = "", configuration: Mapping[str, Any] | None = None) -> int:
    """End the fault of that id, or all that are on; how many were."""
    return _handle(configuration).end_fault(id)


def begin_load(
    locustfile: str,
    users: int | None = None,
    host: str | None = None,
    options: Mapping[str, Any] | None = None,
    arrivals: float | str | None = None,
    configuration: Mapping[str, Any] | None = None,
) -> str:
    """Begin a load, by ``arrivals`` (50 or "poisson:50") or else by ``users`` (10) in a closed loop; its id.

    It ends with the experiment at the latest.
    """
    if arrivals is None and users is None:
        users = 10
    return _handle(configuration).begin_load(
        locustfile, users=users, arrivals=arrivals, host=host, options=options or {}
    )


def end_load(configuration: Mapping[str, Any] | None = None) -> int:
    """End the load; how many requests it made."""
    return _handle(configuration).end_load()


def availability(seconds: float | None = None, configuration: Mapping[str, Any] | None = None) -> float:
    """The share of requests that succeeded, of the last ``seconds`` or of the whole load."""
    return _handle(configuration).availability(seconds)


def latency(
    percentile: float = 99, seconds: float | None = None, configuration: Mapping[str, Any] | None = None
) -> float:
    """A percentile of the latency in seconds, of the last ``seconds`` or of the whole load."""
    return _handle(configuration).latency(percentile, seconds)
