"""Users made from an OpenAPI description: one task for each operation."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pytest_enterprise.load import openapi
from pytest_enterprise.load.users import EnterpriseUser


def _task(operation: openapi.Operation) -> Callable[[OpenApiUser], None]:
    def task(user: OpenApiUser) -> None:
        case = user.random.choice(operation.cases)
        with user.client.request(
            operation.method,
            case.target,
            name=operation.label.partition(" ")[2],
            data=case.body,  # type: ignore[arg-type]  # bytes go as they are
            headers={**case.headers, **user.headers},
            catch_response=True,
            allow_redirects=False,
        ) as answer:
            if not answer.status_code:
                return  # it failed by itself
            headers = dict((answer.headers or {}).items())
            wrong = operation.wrong(answer.status_code, headers, answer.content or b"", conform=user.conform)
            if wrong:
                answer.failure(wrong)
            else:
                answer.success()

    task.__name__ = operation.label
    return task


class OpenApiUser(EnterpriseUser):
    """What :func:`openapi_user` makes classes of."""

    abstract = True
    headers: Mapping[str, str] = {}
    """Sent with each request: an Authorization, for one."""
    conform: bool = False
    """Whether answers must have the shape that their schemas describe."""


def openapi_user(
    source: str | Path,
    *,
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
    weights: Mapping[str, int] | None = None,
    conform: bool = False,
    cases: int = 20,
    seed: int | None = None,
    **attributes: Any,
) -> type[OpenApiUser]:
    """A user class with a task for each operation of an OpenAPI 3 description; give it a name in the locustfile.

    An answer of 500 or more, and one whose status the description does not declare, is a failed request; with
    ``conform`` also one whose body does not fit its schema. ``attributes`` are those of the class: ``rate``,
    ``headers``. For ``include``, ``exclude``, ``weights`` and ``cases`` see :func:`openapi.operations`; ``seed``
    follows from the load's when None. Raises ConfigurationError.
    """
    chosen = random.getrandbits(48) if seed is None else seed
    found = openapi.operations(source, seed=chosen, cases=cases, include=include, exclude=exclude, weights=weights)
    members = {**attributes, "conform": conform, "tasks": {_task(operation): operation.weight for operation in found}}
    return type("FromOpenApi", (OpenApiUser,), members)
