"""A base for locustfiles: importable under plain ``locust -f`` as under the ``load`` fixture."""

from __future__ import annotations

from functools import cache, partial
from typing import Any

import gevent.ssl
from geventhttpclient.url import URL
from locust import FastHttpUser

from pytest_enterprise.load.answers import BoundedResponse
from pytest_enterprise.load.pace import Paced
from pytest_enterprise.load.recorder import Recorder
from pytest_enterprise.load.records import LARGEST, traceparent


@cache
def _trusting_context() -> gevent.ssl.SSLContext:
    # One for all users: loading the certificates anew for each takes longer than a thousand requests.
    return gevent.ssl.create_default_context()


def _trace(session: Any, recorder: Recorder) -> None:
    """Give each request of a FastHttpSession a trace id, and its answer too, where the recorder finds it."""
    send = session._send_request_safe_mode  # noqa: SLF001  the only place that sees the headers of all its methods

    def traced(method: str, url: str, **given: Any) -> Any:
        headers = given["headers"]
        if "traceparent" in headers:  # the user's own
            trace_id = headers["traceparent"][3:35]
        else:
            trace_id = recorder.next_trace_id()
            headers["traceparent"] = traceparent(trace_id)
        answer = send(method, url, **given)
        answer.trace_id = trace_id
        return answer

    session._send_request_safe_mode = traced  # noqa: SLF001


class EnterpriseUser(Paced, FastHttpUser):
    """A FastHttpUser with short time-outs, verified TLS, bounded answers, no hidden retries, and the pace of
    :class:`Paced`.
    """

    abstract = True
    connection_timeout = 3.0
    network_timeout = 10.0
    max_retries = 0
    insecure = False
    max_bytes: int = LARGEST
    """The largest answer; at one byte more the connection is closed, so memory stays bounded."""

    def __init__(self, environment: Any) -> None:
        if not self.insecure and self.ssl_context_factory is None:
            type(self).ssl_context_factory = staticmethod(_trusting_context)
        super().__init__(environment)
        agent: Any = self.client.client
        # geventhttpclient repeats a GET on a new connection up to size + 1 times when the server closes the old one,
        # and reports the last try alone. A user here sees, and records, what happened.
        agent.clientpool.get_client(URL(self.client.base_url or ""))._connection_pool.size = -1  # noqa: SLF001
        agent.response_type = partial(BoundedResponse, most=self.max_bytes)
        if self.recorder is not None:
            _trace(self.client, self.recorder)
