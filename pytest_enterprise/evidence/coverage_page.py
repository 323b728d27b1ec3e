"""``coverage.html``: a period as a calendar of control by day, with misses, changes, exceptions and trends."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

from pytest_enterprise.evidence import pages
from pytest_enterprise.evidence.coverage import Coverage, length
from pytest_enterprise.evidence.period import counts

_SIGNS = {
    "held": "#", "waived": "w", "broken": "X", "not judged": "?", "none": "·",
    "run": "#", "late": "l", "missed": "m", "aborted": "a", "open": " ",
}  # fmt: skip


def render(found: Coverage) -> Iterator[str]:
    """The page in pieces. Raises ConfigurationError when Jinja2 is not installed."""
    dates = sorted({date for control in found.controls for date in control.days})
    names = dict.fromkeys(plan.name for plan in found.schedules)
    return pages.render(
        "coverage.html.j2",
        found=found,
        slots={name: [slot for slot in found.slots if slot.schedule == name] for name in names},
        months=[list(days) for _, days in groupby(dates, key=lambda date: date[:7])],
        loosened=[change for change in found.changes if change.loosened],
        others=[change for change in found.changes if not change.loosened],
        signs=_SIGNS,
        counts=counts,
        length=length,
    )
