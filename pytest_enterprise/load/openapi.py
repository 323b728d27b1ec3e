"""An OpenAPI description as requests to send: made from its schemas and a seed, and answers judged by it.

Schemathesis makes the requests; many are made before the load begins, since making one takes longer than sending it.
"""

from __future__ import annotations

import json
import tempfile
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from pytest_enterprise.errors import ConfigurationError, nearest
from pytest_enterprise.load.records import WRONG

_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
_OURS = frozenset({"user-agent", "accept-encoding", "connection", "content-length", "x-schemathesis-testcaseid"})
"""Headers that the sender makes itself."""


class Case(NamedTuple):
    """One request that fits the description."""

    target: str
    headers: Mapping[str, str]
    body: bytes | None


@dataclass(frozen=True, kw_only=True)
class Operation:
    """One operation with the requests made for it."""

    label: str
    """``GET /items/{id}``."""
    method: str
    weight: int
    cases: Sequence[Case]
    definition: Any
    """Schemathesis's own."""

    def wrong(self, status: int, headers: Mapping[str, str], body: bytes, *, conform: bool) -> str:
        """What is wrong with an answer: a status of 500 or more, one that is not declared, or (``conform``) a body that
        the schema does not allow; empty when nothing is.
        """
        if status >= 500:
            return f"HTTP {status}"
        if self.definition.responses.find_by_status_code(status) is None:
            return f"HTTP {status}, which is not declared"
        if conform and not self._conforms(status, headers, body):
            return f"{WRONG}the answer does not conform to its schema"
        return ""

    def _conforms(self, status: int, headers: Mapping[str, str], body: bytes) -> bool:
        import requests
        from schemathesis.core.transport import Response

        given = {name.lower(): [value] for name, value in headers.items()}
        request = requests.Request(self.method, "http://127.0.0.1/").prepare()
        try:
            self.definition.validate_response(Response(status, given, body, request, 0.0, verify=False))
        except (AssertionError, BaseExceptionGroup):
            return False
        return True


def document(source: str | Path) -> dict[str, Any]:
    """A description in JSON or YAML, from a file or from a URL on this machine. Raises ConfigurationError."""
    text = str(source)
    try:
        if "://" in text:
            if urlsplit(text).hostname not in _LOOPBACK:
                raise ConfigurationError(
                    f"the OpenAPI description {text} is not on this machine; save it as a file, or serve it here"
                )
            with urllib.request.urlopen(text, timeout=10) as answer:
                text = answer.read().decode()
        else:
            text = Path(source).read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"cannot read the OpenAPI description {source}: {error}") from None
    found = _parsed(text, source)
    if not isinstance(found, dict) or not str(found.get("openapi", "")).startswith("3."):
        version = found.get("openapi", found.get("swagger")) if isinstance(found, dict) else None
        raise ConfigurationError(f"{source}: openapi={version!r}; give a description of OpenAPI 3")
    if outside := _outside(found):
        raise ConfigurationError(f"{source}: $ref {outside!r} leads out of the file; bundle it into one")
    return found


def _parsed(text: str, source: object) -> Any:
    try:
        return json.loads(text)
    except ValueError as first:
        if text.lstrip()[:1] == "{":
            raise ConfigurationError(f"{source} is no OpenAPI description: {first}") from None
    import yaml

    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigurationError(f"{source} is no OpenAPI description: {error}") from None


def _outside(node: Any) -> str:
    """The first reference to another document; empty when there is none."""
    if isinstance(node, dict):
        reference = node.get("$ref")
        if isinstance(reference, str) and not reference.startswith("#"):
            return reference
        node = list(node.values())
    if isinstance(node, list):
        return next((found for value in node if (found := _outside(value))), "")
    return ""


def operations(
    source: str | Path,
    *,
    seed: int,
    cases: int = 20,
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
    weights: Mapping[str, int] | None = None,
) -> list[Operation]:
    """The operations of a description, each with up to ``cases`` requests, always the same for a seed.

    ``include``, ``exclude`` and the keys of ``weights`` are an operation's label (``GET /items/{id}``), its
    ``operationId`` or one of its tags; ``*`` stands for any text. The last weight that fits counts; 1 when none does.
    Raises ConfigurationError.
    """
    try:
        import schemathesis
        from schemathesis.config import SchemathesisConfig
        from schemathesis.errors import SchemathesisError
    except ImportError:
        raise ConfigurationError(
            "users made from an OpenAPI description need Schemathesis, which is not installed: "
            "pip install 'pytest-enterprise[openapi]'"
        ) from None
    generation = {
        "codec": "ascii",
        "allow-x00": False,
        "allow-extra-parameters": False,
        "with-security-parameters": False,
    }
    config = SchemathesisConfig.from_dict({"generation": generation})
    try:
        schema = schemathesis.openapi.from_dict(document(source), config=config)
        found = [_usable(result, source) for result in schema.get_all_operations()]
        base = urlsplit(schema.base_path).path.rstrip("/")
    except SchemathesisError as error:
        raise ConfigurationError(f"{source} is no OpenAPI description that can be used: {error}") from None
    chosen = _chosen(found, include, exclude, weights or {}, source)
    with tempfile.TemporaryDirectory() as folder:
        _keep_out_of_the_way(folder)
        return [
            Operation(
                label=operation.label,
                method=operation.method.upper(),
                weight=weight,
                cases=_cases(operation, base, f"{seed}/{operation.label}", cases, source),
                definition=operation,
            )
            for operation, weight in chosen
        ]


def _usable(result: Any, source: object) -> Any:
    from schemathesis.core.result import Err

    if isinstance(result, Err):
        raise ConfigurationError(f"{source} is no OpenAPI description that can be used: {result.err()}")
    return result.ok()


def _keep_out_of_the_way(folder: str) -> None:
    from hypothesis.configuration import set_hypothesis_home_dir

    set_hypothesis_home_dir(folder)


def _names(operation: Any) -> list[str]:
    identifier = operation.definition.raw.get("operationId")
    return [operation.label, *([identifier] if identifier else []), *(operation.tags or ())]


def _chosen(
    found: list[Any], include: Sequence[str], exclude: Sequence[str], weights: Mapping[str, int], source: object
) -> list[tuple[Any, int]]:
    known = {name for operation in found for name in _names(operation)}

    def fits(operation: Any, pattern: str) -> bool:
        names = _names(operation)
        return pattern in names or any(fnmatchcase(name, pattern) for name in names)

    for pattern in (*include, *exclude, *weights):
        if not any(fits(operation, pattern) for operation in found):
            raise ConfigurationError(f"{source} has no operation {pattern!r}. {nearest(pattern, known)}")
    for pattern, weight in weights.items():
        if type(weight) is not int or weight < 0:
            raise ConfigurationError(f"weights: {pattern!r}: {weight!r} is no weight; give a whole number from 0")
    chosen = []
    for operation in found:
        if include and not any(fits(operation, pattern) for pattern in include):
            continue
        if any(fits(operation, pattern) for pattern in exclude):
            continue
        weight = next((w for pattern, w in reversed(list(weights.items())) if fits(operation, pattern)), 1)
        if weight:
            chosen.append((operation, weight))
    if not chosen:
        raise ConfigurationError(
            f"{source}: no operation is left to send. It has: {', '.join(sorted(known)) or 'none'}"
        )
    return chosen


def _cases(operation: Any, base: str, seed: str, count: int, source: object) -> list[Case]:
    import hypothesis
    from hypothesis.errors import HypothesisException
    from schemathesis.errors import SchemathesisError
    from schemathesis.generation import GenerationMode

    made: list[Case] = []

    @hypothesis.seed(int.from_bytes(sha256(seed.encode()).digest()[:8], "big"))
    @hypothesis.settings(
        max_examples=count,
        database=None,
        deadline=None,
        phases=[hypothesis.Phase.generate],
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    @hypothesis.given(case=operation.as_strategy(generation_mode=GenerationMode.POSITIVE))
    def collect(case: Any) -> None:
        made.append(_case(case, base))

    try:
        collect()
    except (HypothesisException, SchemathesisError, ValueError) as error:
        raise ConfigurationError(
            f"{source}: no request can be made for {operation.label}: {error}. Give exclude=[{operation.label!r}]"
        ) from None
    return made


def _case(case: Any, base: str) -> Case:
    import requests

    known = ("method", "url", "headers", "params", "data", "json", "files", "cookies")
    given = case.as_transport_kwargs(base_url="http://127.0.0.1")
    prepared = requests.Request(**{name: given[name] for name in known if name in given}).prepare()
    body: Any = prepared.body.encode() if isinstance(prepared.body, str) else prepared.body
    headers = {name: _text(value) for name, value in prepared.headers.items() if name.lower() not in _OURS}
    return Case(base + prepared.path_url, headers, body)


def _text(value: str | bytes) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else value
