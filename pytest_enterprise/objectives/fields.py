"""The documents of a YAML file and their fields, each checked; errors say file, place, value and what is allowed."""

from __future__ import annotations

from collections.abc import Hashable
from pathlib import Path
from typing import Any

from pytest_enterprise.errors import ConfigurationError, nearest


def documents(path: Path) -> list[Any]:
    """Every document of a file. Raises ConfigurationError."""
    try:
        import yaml
    except ImportError:
        raise ConfigurationError(
            f"{path}: OpenSLO documents need PyYAML, which is not installed: pip install 'pytest-enterprise[openslo]'"
        ) from None

    class Loader(yaml.SafeLoader):  # type: ignore[misc]
        """Refuses a key that is there twice, of which YAML would keep the last."""

        def construct_mapping(self, node: Any, deep: bool = False) -> dict[Hashable, Any]:
            keys = [self.construct_object(key, deep=True) for key, _ in node.value]
            for key in keys:
                if keys.count(key) > 1:
                    raise yaml.constructor.ConstructorError(None, None, f"{key!r} is there twice", node.start_mark)
            found: dict[Hashable, Any] = super().construct_mapping(node, deep)
            return found

    try:
        with path.open(encoding="utf-8") as file:
            return list(yaml.load_all(file, Loader))
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be read: {error.strerror}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path}: cannot be read as YAML: {' '.join(str(error).split())}") from None


def mapping(where: str, given: Any, known: tuple[str, ...], *, every: bool = False) -> dict[str, Any]:
    """``given`` when it is a mapping with no keys but the known ones (with ``every``: with all of them)."""
    if not isinstance(given, dict):
        raise ConfigurationError(f"{where}: {given!r} is not a mapping; give {', '.join(known)}")
    for key in given:
        if key not in known:
            raise ConfigurationError(
                f"{where}: {key!r} is unknown or says nothing to a load. {nearest(str(key), known)}"
            )
    if every and (missing := [key for key in known if key not in given]):
        raise ConfigurationError(f"{where}: {missing[0]!r} is missing")
    return given


def text(where: str, value: Any) -> str:
    """``value`` when it is a text and not empty."""
    if not isinstance(value, str) or not value:
        raise ConfigurationError(f"{where}: {value!r} is not a text")
    return value


def number(where: str, value: Any) -> float:
    """``value`` when it is a number, or a text that is one (as annotations are)."""
    try:
        return float("no" if isinstance(value, bool) else value)
    except (TypeError, ValueError):
        raise ConfigurationError(f"{where}: {value!r} is not a number") from None
