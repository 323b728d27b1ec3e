from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from tiny_engine import Tiny, site_of

from pytest_enterprise.engines.base import Address
from pytest_enterprise.errors import ConfigurationError, FaultFailed
from pytest_enterprise.run import Run
from pytest_enterprise.runtimes import choose
from pytest_enterprise.runtimes.external import ExternalRuntime, parse_url


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("http://shop.test:8080/api?x=1", Address("shop.test", 8080)),
        ("http://shop.test", Address("shop.test", 80)),
        ("https://shop.test/", Address("shop.test", 443)),
        ("https://user:secret@shop.test:8443", Address("shop.test", 8443)),
        ("tcp://127.0.0.1:5432", Address("127.0.0.1", 5432)),
        ("db:5432", Address("db", 5432)),
        (" db:5432 ", Address("db", 5432)),
        ("[::1]:5432", Address("::1", 5432)),
    ],
)
def test_urls(url: str, address: Address) -> None:
    """URLs and plain addresses both say where an engine is."""
    assert parse_url("shop", url) == address


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("", "no host"),
        ("http://", "no host"),
        ("shop", "no port"),
        ("tcp://shop", "no port"),
        ("shop:http", "port could not be cast"),
        ("http://shop:99999", "port out of range"),
        ("http://shop:0", "no port"),
        ("http://my shop:80", "no host"),
        ("http://[::1", "invalid ipv6"),
    ],
)
def test_urls_that_mean_nothing(url: str, why: str) -> None:
    """A URL without a reachable address is a mistake that names engine, value, rule and way out."""
    with pytest.raises(ConfigurationError, match=why) as caught:
        parse_url("shop", url)
    assert str(caught.value).startswith(f"shop: {url!r} is not where an engine can be reached (")
    assert "tcp://host:port" in str(caught.value)


def test_known_and_never_disturbed(run: Run) -> None:
    """An external engine is alive while it accepts connections; faults on its process are refused by name."""

    async def body() -> None:
        server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        engine = Tiny(name="shop", url=f"http://127.0.0.1:{port}")
        runtime = choose.make("external", run)
        await runtime.open()
        placed = runtime.place(engine, "shop")
        assert placed.host["main"] == Address("127.0.0.1", port)
        site = site_of(engine, "shop", placed, "external")
        instance = await runtime.start(engine, site, engine.launch(site))
        assert await instance.alive()
        assert not await instance.paused()
        for work in (instance.kill(), instance.pause(), instance.restart()):
            with pytest.raises(FaultFailed, match=r"shop is an external engine .* cannot be \w+ by us"):
                await work
        await instance.resume()
        await instance.stop()
        assert await instance.alive()
        assert instance.log() == ()
        assert await instance.cpu_seconds() == 0.0
        assert instance.command_line == f"(external: {engine.url})"
        server.close()
        await server.wait_closed()
        assert not await instance.alive()
        assert f"127.0.0.1:{port}" in (instance.exit_status() or "")
        await runtime.close()

    asyncio.run(body())


def test_place_mistakes(run: Run, tmp_path: Path) -> None:
    """Without a URL, or with several instances at one URL, nothing can be placed."""
    runtime = ExternalRuntime(run)
    with pytest.raises(ConfigurationError, match="tiny has no url"):
        runtime.place(Tiny(), "tiny")
    with pytest.raises(ConfigurationError, match="replicas=2, but a url means one instance"):
        runtime.place(Tiny(url="db:1", replicas=2), "tiny-1")
