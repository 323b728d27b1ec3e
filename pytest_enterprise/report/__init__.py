"""What people read of a run, made from its run directory alone: again later, elsewhere, as often as one likes."""

from __future__ import annotations

from pathlib import Path


def write_all(directory: Path) -> Path | None:
    """Make every report file of a run directory; the path of ``index.html``, or None where it cannot be made.

    It cannot where Jinja2 is not installed or the disk is full: the terminal's summary says so and what to do.
    """
    from pytest_enterprise.errors import ConfigurationError
    from pytest_enterprise.report import html, junit

    try:
        junit.write(directory)
        return html.write(directory)
    except (ConfigurationError, OSError):
        return None
