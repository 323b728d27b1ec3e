"""Objectives: limits on what users feel, judged from the recorded requests before, during and after each fault."""

from __future__ import annotations

from pytest_enterprise.objectives.availability import Availability
from pytest_enterprise.objectives.base import Objective, Verdict
from pytest_enterprise.objectives.budget import BurnRate, ErrorBudget
from pytest_enterprise.objectives.check import ObjectiveBroken, ObjectiveNotJudged, Objectives
from pytest_enterprise.objectives.comparison import Compared
from pytest_enterprise.objectives.correctness import Correctness
from pytest_enterprise.objectives.detection import Sighting, TimeToDetect, watch
from pytest_enterprise.objectives.durability import Durability
from pytest_enterprise.objectives.fact import Fact
from pytest_enterprise.objectives.freshness import Freshness
from pytest_enterprise.objectives.growth import Growth
from pytest_enterprise.objectives.judge import judge
from pytest_enterprise.objectives.latency import Latency
from pytest_enterprise.objectives.metrics import Block, Metric
from pytest_enterprise.objectives.phases import Window
from pytest_enterprise.objectives.recovery import Recovery
from pytest_enterprise.objectives.refusals import Refusals
from pytest_enterprise.objectives.regression import NoRegression
from pytest_enterprise.objectives.throughput import Throughput

__all__ = [
    "Availability",
    "Block",
    "BurnRate",
    "Compared",
    "Correctness",
    "Durability",
    "ErrorBudget",
    "Fact",
    "Freshness",
    "Growth",
    "Latency",
    "Metric",
    "NoRegression",
    "Objective",
    "ObjectiveBroken",
    "ObjectiveNotJudged",
    "Objectives",
    "Recovery",
    "Refusals",
    "Sighting",
    "Throughput",
    "TimeToDetect",
    "Verdict",
    "Window",
    "judge",
    "watch",
]
