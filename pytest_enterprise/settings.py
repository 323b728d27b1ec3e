"""Every option, declared once for ini file, command line and environment, and read once into :class:`Settings`.

Order of precedence: command line, environment, ini file, default. The plugin and the CLI read the same declarations.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from pytest_enterprise.errors import ConfigurationError

RUNTIMES = ("auto", "process", "container")
UNABLE = ("skip", "fail")
OSCAL_VERSIONS = ("1.1.0", "1.1.1", "1.1.2", "1.1.3", "1.2.0", "1.2.1", "1.2.2", "1.2.3")


class Option(NamedTuple):
    """One option: ``--enterprise-NAME``, ``enterprise_NAME`` in the ini file, ``PYTEST_ENTERPRISE_NAME``."""

    name: str
    default: Any
    help: str
    choices: tuple[str, ...] = ()
    metavar: str | None = None

    @property
    def many(self) -> bool:
        """It can be given as often as needed."""
        return isinstance(self.default, tuple)

    @property
    def flag(self) -> str:
        return "--enterprise-" + self.name.replace("_", "-")

    @property
    def ini(self) -> str:
        return "enterprise_" + self.name

    @property
    def variable(self) -> str:
        return "PYTEST_ENTERPRISE_" + self.name.upper()


OPTIONS = (
    Option("runtime", "auto", "how engines are started: container needs Docker, process does not", RUNTIMES),
    Option("direct", False, "start the stack with no fault proxy between, to measure what the proxy costs"),
    Option("sabotage", False, "run each scenario once per sabotage switch and expect its named objective to fail"),
    Option("seed", None, "the seed of every random choice of the run; drawn and printed when absent", metavar="N"),
    Option("reports", "reports", "the directory in which the run directory is made", metavar="DIR"),
    Option("claims", "claims.toml", "the file that lists claims and their scenarios", metavar="FILE"),
    Option("stack", None, "a TOML file that declares the stack, instead of enterprise_stack_spec", metavar="FILE"),
    Option("images", (), "ENGINE=IMAGE, as often as needed: the image of an engine under the container runtime"),
    Option("url", (), "ENGINE=URL, as often as needed: an engine that already runs"),
    Option("unable", "skip", "what becomes of a test whose faults this machine cannot play", UNABLE),
    Option("baselines", ".enterprise-baselines", "the directory of what earlier runs measured", metavar="DIR"),
    Option(
        "benchmark_fail",
        None,
        "fail when pytest-benchmark's figures are worse than its stored runs by this much, beyond chance: 3% or min:3%",
        metavar="[FIELD:]PERCENT%",
    ),
    Option(
        "environment",
        "not stated",
        "which environment is tested, in your words (staging, production); evidence and report state it",
        metavar="NAME",
    ),
    Option(
        "frameworks", (), "a file with a framework of controls or an overlay of texts, as often as needed", (), "FILE"
    ),
    Option("exceptions", "exceptions.toml", "the file of failures that somebody accepted for a while", metavar="FILE"),
    Option(
        "ledger", None, "sign the evidence of the run, and record it in the ledger in this directory", metavar="DIR"
    ),
    Option(
        "key",
        None,
        "what signs: FILE (PEM), env:VARIABLE or command:PROGRAM; a throw-away key when absent",
        metavar="KEY",
    ),
    Option(
        "checkpoints",
        (),
        "where the ledger's checkpoint is copied, as often as needed: DIR, git:REMOTE, tsa:URL or witness:URL",
        (),
        "PLACE",
    ),
    Option("oscal_version", "1.1.2", "the version that OSCAL documents declare", OSCAL_VERSIONS),
    Option("start_timeout", None, "seconds for an engine to become ready, instead of its own limit", metavar="S"),
)


class Settings(NamedTuple):
    """The settings of one run; see :data:`OPTIONS` for what each means."""

    runtime: str = "auto"
    direct: bool = False
    sabotage: bool = False
    seed: int | None = None
    reports: str = "reports"
    claims: str = "claims.toml"
    stack: str | None = None
    images: Mapping[str, str] = {}
    url: Mapping[str, str] = {}
    unable: str = "skip"
    baselines: str = ".enterprise-baselines"
    benchmark_fail: str | None = None
    environment: str = "not stated"
    frameworks: tuple[str, ...] = ()
    exceptions: str = "exceptions.toml"
    ledger: str | None = None
    key: str | None = None
    checkpoints: tuple[str, ...] = ()
    oscal_version: str = "1.1.2"
    start_timeout: float | None = None


def _flag(value: Any, source: str) -> bool:
    if isinstance(value, bool):
        return value
    text = str(value).strip().lower()
    if text in ("1", "true", "yes", "on"):
        return True
    if text in ("0", "false", "no", "off", ""):
        return False
    raise ConfigurationError(f"{source}: {value!r} is neither true nor false; write true or false")


def _pairs(value: Any, source: str) -> dict[str, str]:
    lines = value.split(",") if isinstance(value, str) else value
    pairs = {}
    for line in lines:
        name, equals, text = str(line).partition("=")
        if not equals or not name.strip() or not text.strip():
            raise ConfigurationError(f"{source}: {line!r} is not of the form ENGINE=VALUE")
        pairs[name.strip()] = text.strip()
    return pairs


def _names(value: Any, source: str) -> tuple[str, ...]:
    names = [str(name).strip() for name in (value.split(",") if isinstance(value, str) else value)]
    if not all(names):
        raise ConfigurationError(f"{source}: {value!r} holds an empty name")
    return tuple(names)


def _seed(value: Any, source: str) -> int:
    try:
        seed = int(value)
    except ValueError:
        seed = -1
    if not 0 <= seed < 2**63:
        raise ConfigurationError(f"{source}: {value!r} is not a seed; give a whole number from 0 to 2^63 - 1")
    return seed


def _seconds(value: Any, source: str) -> float:
    try:
        seconds = float(value)
    except ValueError:
        seconds = -1
    if not 0 < seconds < 86400:
        raise ConfigurationError(f"{source}: {value!r} is not a time limit; give seconds above 0 and below 86,400")
    return seconds


_PARSERS: dict[str, Callable[[Any, str], Any]] = {
    "direct": _flag,
    "sabotage": _flag,
    "seed": _seed,
    "images": _pairs,
    "url": _pairs,
    "frameworks": _names,
    "checkpoints": _names,
    "start_timeout": _seconds,
}


def read(
    flag: Callable[[Option], Any], ini: Callable[[Option], Any], environ: Mapping[str, str] = os.environ
) -> Settings:
    """Settings from the three sources; ``flag`` and ``ini`` give None (or empty) for what was not set.

    Raises ConfigurationError that names the source, the value and what is allowed.
    """
    values: dict[str, Any] = {}
    for option in OPTIONS:
        for source, value in (
            (option.flag, flag(option)),
            (f"${option.variable}", environ.get(option.variable)),
            (f"ini key {option.ini}", ini(option)),
        ):
            if value is None or value == "" or value == []:
                continue
            parser = _PARSERS.get(option.name)
            if parser:
                value = parser(value, source)
            elif option.choices and value not in option.choices:
                raise ConfigurationError(f"{source}: {value!r} is not one of {', '.join(option.choices)}")
            values[option.name] = value
            break
    return Settings(**values)
