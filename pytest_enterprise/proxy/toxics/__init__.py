"""The toxics by the type that a client names; one per file."""

from __future__ import annotations

from pytest_enterprise.proxy.toxics.bandwidth import Bandwidth
from pytest_enterprise.proxy.toxics.base import Stage
from pytest_enterprise.proxy.toxics.blackhole import Blackhole
from pytest_enterprise.proxy.toxics.corruption import Corruption
from pytest_enterprise.proxy.toxics.cut_answer import CutAnswer
from pytest_enterprise.proxy.toxics.freeze import Freeze
from pytest_enterprise.proxy.toxics.http import HttpFault
from pytest_enterprise.proxy.toxics.latency import Latency
from pytest_enterprise.proxy.toxics.limit_data import LimitData
from pytest_enterprise.proxy.toxics.loss import Loss
from pytest_enterprise.proxy.toxics.noop import Noop
from pytest_enterprise.proxy.toxics.reset_peer import ResetPeer
from pytest_enterprise.proxy.toxics.slicer import Slicer
from pytest_enterprise.proxy.toxics.slow_close import SlowClose
from pytest_enterprise.proxy.toxics.timeout import Timeout

KINDS: dict[str, type[Stage]] = {
    stage.kind: stage
    for stage in (
        Noop,
        Latency,
        Bandwidth,
        SlowClose,
        Timeout,
        ResetPeer,
        Slicer,
        LimitData,
        Freeze,
        Loss,
        Corruption,
        CutAnswer,
        HttpFault,
        Blackhole,
    )
}
