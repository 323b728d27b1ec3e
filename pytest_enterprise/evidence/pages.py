"""What the pages of evidence have in common: one file each that fetches nothing, for the screen and for paper."""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from pytest_enterprise.errors import ConfigurationError
from pytest_enterprise.objectives import text
from pytest_enterprise.report import words

_STYLES = (
    Path(words.__file__).parent / "templates" / "style.css",
    Path(__file__).parent / "templates" / "evidence.css",
)
_MARKS = {
    **words.MARKS,
    "not-judged": "?", "waived": "?", "late": "?", "open": "?", "stale": "?", "loosened": "✗", "missed": "✗",
    "aborted": "✗", "run": "✓", "none": "–",
}  # fmt: skip
"""A sign for each outcome, so that none is told by colour alone."""


def available() -> bool:
    """Whether Jinja2 is installed; all other documents are made without it."""
    return importlib.util.find_spec("jinja2") is not None


def render(template: str, **values: Any) -> Iterator[str]:
    """A page in pieces, so that a large one is never in memory as a whole. Everything in it is escaped."""
    try:
        from jinja2 import Environment, PackageLoader, StrictUndefined
        from markupsafe import Markup
    except ImportError:
        raise ConfigurationError(
            "pages need Jinja2, which is not installed: pip install 'pytest-enterprise[report]'"
        ) from None
    environment = Environment(
        loader=PackageLoader("pytest_enterprise.evidence"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(short=words.short, seconds=words.seconds, plain=words.plain)
    environment.globals.update(count=words.count, quantity=text.quantity, between=_between)
    environment.globals.update(marks=_MARKS, tones=words.TONES)
    style = "".join(path.read_text(encoding="utf-8") for path in _STYLES)
    # The styles are this package's own; what comes from a run is escaped.
    return environment.get_template(template).generate(style=Markup(style), **values)  # noqa: S704


def _between(interval: Sequence[float | None], unit: str) -> str:
    """An interval as records keep it, where an end that is not finite is null."""
    low, high = interval
    return text.between((math.inf if low is None else low, math.inf if high is None else high), unit)
