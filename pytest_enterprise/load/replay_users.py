"""Users that send recorded requests again, to the load's host and to no other."""

from __future__ import annotations

from typing import cast

from locust import task
from locust.exception import StopTest

from pytest_enterprise.load.recorded import Entry
from pytest_enterprise.load.redaction import is_secret, redact_query, redact_text
from pytest_enterprise.load.replayed import Replay
from pytest_enterprise.load.users import EnterpriseUser


class ReplayUser(EnterpriseUser):
    """Each arrival sends one request of the recording, as it was; a redirect is not followed, no cookie is kept.

    An answer of 400 or more is a failed request unless its status is the one that was recorded.
    """

    abstract = True

    @task
    def replay(self) -> None:
        """Send the request that is due."""
        if self.journeys is None or not isinstance(self.journeys.pattern, Replay):
            raise StopTest('a replay needs its file: --arrivals \'{"kind": "replay", "path": "access.log"}\'')
        pattern = self.journeys.pattern
        self.send(pattern.recording.entries[self.journeys.number], secrets=pattern.secrets)

    def send(self, entry: Entry, *, secrets: bool = False) -> None:
        """Send one request; without ``secrets`` those in its headers and its query are left out."""
        headers = dict(entry.headers)
        target = entry.target
        if not secrets:
            # A parameter keeps its place: what asks for one gets another answer when it is missing.
            target = redact_query(target)
            headers = {name: redact_text(value) for name, value in headers.items() if not is_secret(name)}
        with self.client.request(
            entry.method,
            target,
            name=entry.name,
            data=cast("str | None", entry.body),
            headers=headers,
            catch_response=True,
            allow_redirects=False,
        ) as answer:
            status = answer.status_code
            if status and (status < 400 or status == entry.status):
                answer.success()
            elif status:
                answer.failure(f"HTTP {status}")
        self.client.cookiejar.clear()
