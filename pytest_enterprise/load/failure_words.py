"""What a failure is recorded as, the same whether Locust's users or the native engine met it.

Failures to connect and to be answered have the same words in every protocol; what the server said itself has its own.
"""

from __future__ import annotations

import re

REFUSED = "ConnectionRefusedError"
CLOSED = "ConnectionClosed"
TIMED_OUT = "TimeoutError"
_FATAL = re.compile(r"FATAL: +(.+)")


def of_redis(text: str) -> str:
    """An error reply by its first word: ``Redis WRONGTYPE``, ``Redis LOADING``."""
    return f"Redis {text.partition(' ')[0]}"


def of_grpc(status: str, details: str) -> str:
    """A status but OK: ``gRPC RESOURCE_EXHAUSTED``."""
    if status == "DEADLINE_EXCEEDED":
        return TIMED_OUT
    if status == "UNAVAILABLE":
        if "Connection refused" in details:
            return REFUSED
        if "Socket closed" in details or "Connection reset" in details:
            return CLOSED
    return f"gRPC {status}"


def of_postgres(error: Exception) -> str:
    """An error of psycopg.

    With an SQLSTATE it is the server's own answer, ``SQLSTATE 23505 UniqueViolation``; one that refuses the connection
    itself goes by its text, ``FATAL sorry, too many clients already``.
    """
    text = str(error)
    if state := getattr(error, "sqlstate", None):
        return f"SQLSTATE {state} {type(error).__name__}"
    if fatal := _FATAL.search(text):  # libpq tells no SQLSTATE when it cannot connect
        return f"FATAL {fatal.group(1)[:100]}"
    kinds = [kind.__name__ for kind in type(error).__mro__]
    if "ConnectionTimeout" in kinds:
        return TIMED_OUT
    if "Connection refused" in text:
        return REFUSED
    return CLOSED if "OperationalError" in kinds else kinds[0]
