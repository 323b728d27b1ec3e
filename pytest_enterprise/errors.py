"""Errors a user can act on: each says the value, the rule and the way out."""

from __future__ import annotations

from collections.abc import Iterable


class EnterpriseError(Exception):
    """Base of everything this package raises on purpose."""


class ConfigurationError(EnterpriseError):
    """An option, a stack or a fault that cannot be what was meant; shown without a traceback."""


class MachineCannot(ConfigurationError):
    """What is asked for cannot be had on this machine (no FUSE, not root); the message says how to get it."""


def cannot_write(path: object, error: OSError) -> ConfigurationError:
    """What to say when the run directory cannot take more: no right to write there, or no room."""
    return ConfigurationError(
        f"cannot write {error.filename or path}: {error.strerror}. What was written so far is kept. "
        "Make room, or give another place with --enterprise-reports DIR."
    )


class EngineFailed(EnterpriseError):
    """An engine did not come up, or went away while it was needed."""


class EngineMissing(EngineFailed):
    """The program or image of an engine is not on this machine; the message says how to get it."""


class FaultFailed(EnterpriseError):
    """A fault could not be applied or undone."""


class ActedOnNothing(FaultFailed):
    """A fault was on and nothing met it, so a scenario with it proves nothing."""


class LoadFailed(EnterpriseError):
    """The load generator did not start, stopped by itself or could not be read."""


TOLD = (ActedOnNothing, ConfigurationError, EngineFailed, LoadFailed)
"""Errors whose message is all that a user needs: shown without a traceback."""


def nearest(wanted: str, known: Iterable[str]) -> str:
    """A sentence that names what exists, the closest first, for "no such X" errors."""
    import difflib

    names = sorted(known)
    if not names:
        return "There is none."
    close = difflib.get_close_matches(wanted, names, n=3, cutoff=0.4)
    listed = ", ".join(names[:30]) + (", ..." if len(names) > 30 else "")
    hint = f"Did you mean {' or '.join(repr(c) for c in close)}? " if close else ""
    return f"{hint}Known: {listed}."
