"""The extension points of the plugin: hooks that a conftest.py or another plugin may implement."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pytest_enterprise.events import Event
    from pytest_enterprise.live import LiveStack


def pytest_enterprise_event(event: Event) -> None:
    """Called with every event of the run in this process, in the thread that saw it; must be quick.

    See :mod:`pytest_enterprise.events` for what an event holds.
    """


@pytest.hookspec(firstresult=True)
def pytest_enterprise_switch(stack: LiveStack, switch: str, on: bool) -> bool | None:
    """Turn a sabotage switch on or off, and return True; None leaves it to others.

    Without an implementation the switch becomes a key in the stack's registry, ``/config/switches/<switch>``.
    """
