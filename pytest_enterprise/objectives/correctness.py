"""The share of answers that are right."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from pytest_enterprise.objectives.proportion import Proportion

if TYPE_CHECKING:
    from pytest_enterprise.load.columns import Columns


@dataclass(frozen=True, kw_only=True)
class Correctness(Proportion):
    """At least this share of the answers is right: of the requests that were answered, those whose check passed.

    An answer that came and was found wrong is recorded as ``wrong: ...``, with what the check said. A refusal
    (``HTTP 503``), a time-out or a lost connection is no answer: that is for :class:`Availability` to judge, which
    counts both. Judged from as many answers on as an availability is.
    """

    what: ClassVar[str] = "answers"
    bad: ClassVar[str] = "were wrong"

    def _default_name(self) -> str:
        return f"correctness-{self.phase}"

    def _judged(self, requests: Columns) -> Columns:
        return requests.where(~requests.failed | requests.wrong)
