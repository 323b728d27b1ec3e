"""What a load is asked for, checked before anything starts: the value, the rule, the way out."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pytest_enterprise.errors import ConfigurationError, nearest

SCHEMES = ("http", "https", "tcp", "redis", "postgresql", "ws", "wss", "grpc")
"""How the address of what users speak to may begin."""
_MOST = 1e9
"""What no number of users, of seconds or of runs per second can reach in earnest."""


def installed() -> None:
    """ConfigurationError when Locust is not installed; does not import it."""
    from importlib.util import find_spec

    if find_spec("locust") is None:
        raise ConfigurationError("a load needs Locust, which is not installed: pip install 'pytest-enterprise[load]'")


def locustfile(value: str | Path | None, root: Path | None = None) -> Path:
    """The absolute path of a locustfile that exists below ``root`` (or the working directory) and compiles."""
    if value is None:
        raise ConfigurationError('no locustfile is given; write load("loadtests/my_service.py", ...)')
    path = (root or Path.cwd()) / value
    if not path.is_file():
        near = [str(Path(value).parent / found.name) for found in path.parent.glob("*.py")]
        raise ConfigurationError(
            f"locustfile {str(value)!r} does not exist (looked for {path}). {nearest(str(value), near)}"
        )
    try:
        compile(path.read_bytes(), str(path), "exec", dont_inherit=True)
    except SyntaxError as error:
        raise ConfigurationError(
            f"locustfile {value} has a syntax error: {error.msg}\n  {path}:{error.lineno}: {(error.text or '').strip()}"
        ) from None
    except (ValueError, OSError) as error:
        raise ConfigurationError(f"locustfile {value} cannot be read: {error}") from None
    return path


def host(value: str | None) -> str:
    """A base URL without its last slash."""
    if value is None:
        raise ConfigurationError('a load needs a host; give host="http://127.0.0.1:8000"')
    try:
        parts = urlsplit(value)
        good = parts.scheme in SCHEMES and bool(parts.hostname) and parts.port != 0
    except ValueError:
        good = False
    if not good:
        raise ConfigurationError(
            f"host {value!r} is not a base URL; write http://HOST:PORT or https://HOST:PORT, as stack.url() gives it"
        )
    return value.rstrip("/")


def number(name: str, value: Any, *, whole: bool = False) -> Any:
    """``value`` when it is a number above 0 (``whole``: a whole one), None when it is None."""
    if value is None:
        return None
    kinds = int if whole else (int, float)
    if isinstance(value, bool) or not isinstance(value, kinds) or not 0 < value < _MOST:
        beyond = isinstance(value, int | float) and value >= _MOST
        raise ConfigurationError(
            f"{name}={value!r} is not possible; give a {'whole ' if whole else ''}number above 0"
            f"{f' and below {_MOST:,.0f}' if beyond else ''}"
            f"{' (1 user at least)' if name == 'users' else ''}"
        )
    return value
