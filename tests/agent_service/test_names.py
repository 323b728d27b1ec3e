"""The service's memory of addresses."""

import asyncio
import socket

import psycopg
import pytest
from agent_service.names import Names, connection_class


def resolver(loop, *answers):
    """Lets a loop find these, one after the other: an address, an error, or None for no answer at all."""
    left = list(answers)

    async def getaddrinfo(host, port, **_):
        answer = left.pop(0)
        if answer is None:
            await asyncio.sleep(60)
        if isinstance(answer, Exception):
            raise answer
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (answer, 0))]

    loop.getaddrinfo = getaddrinfo


def ask(forgotten, *answers):
    async def asked():
        resolver(asyncio.get_running_loop(), *answers)
        names = Names(lambda: forgotten)
        return [await names.address("postgres.test") for _ in answers]

    return asyncio.run(asked())


NO_ANSWER = socket.gaierror(socket.EAI_AGAIN, "again")


def test_the_last_address_is_used_while_there_is_no_answer():
    assert ask(False, "127.0.0.2", NO_ANSWER, None, "127.0.0.3") == ["127.0.0.2", "127.0.0.2", "127.0.0.2", "127.0.0.3"]


def test_what_was_never_known_is_an_error():
    with pytest.raises(socket.gaierror):
        ask(False, NO_ANSWER)
    with pytest.raises(TimeoutError):
        ask(False, None)


def test_with_the_switch_on_nothing_is_remembered():
    with pytest.raises(socket.gaierror):
        ask(True, "127.0.0.2", NO_ANSWER)


def test_a_name_without_an_address_is_an_error_of_the_database():
    async def connect():
        resolver(asyncio.get_running_loop(), NO_ANSWER)
        await connection_class(Names(lambda: False)).connect("postgresql://postgres.test/app")

    with pytest.raises(psycopg.OperationalError, match=r"postgres\.test cannot be resolved"):
        asyncio.run(connect())


def test_sockets_have_no_names(tmp_path):
    """They are left to the driver."""
    with pytest.raises(psycopg.OperationalError, match="No such file"):
        asyncio.run(connection_class(Names(lambda: False)).connect(f"host={tmp_path} dbname=app"))
