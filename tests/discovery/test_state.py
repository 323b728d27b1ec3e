"""What gateways are told, from registrations, links and switches."""

import asyncio
import json

import pytest

from pytest_enterprise.discovery import follower, xds
from pytest_enterprise.discovery.program import Discovery, main
from pytest_enterprise.discovery.state import State
from pytest_enterprise.http_server import Request

NODE = {"id": "gateway", "metadata": {"routes": {"/": "shop", "/pay": "till"}, "ready_path": "/ready"}}
SERVICES = {
    "shop/shop-1": '{"name": "shop-1", "address": "10.0.0.1:80"}',
    "shop/shop-2": '{"name": "shop-2", "address": "10.0.0.2:80"}',
    "shop/broken": "nonsense",
    "shop/": '{"address": "10.0.0.3:80"}',
    "till/till-1": '{"address": "10.0.0.9:99999"}',
}


def told(state, kind, node=NODE, names=()):
    return state.resources(kind, node, list(names))


def test_malformed_registrations_are_left_out():
    assert follower.addresses(SERVICES) == {"shop": {"shop-1": "10.0.0.1:80", "shop-2": "10.0.0.2:80"}}


def test_a_gateway_dials_its_own_links_and_else_the_registered_address(tmp_path):
    async def scenario():
        links = tmp_path / "links.json"
        links.write_text(json.dumps({"gateway": {"shop-1": "127.0.0.1:1"}, "other": {"shop-2": "127.0.0.1:2"}}))
        state = State(links)
        state.take(SERVICES, {})
        following = asyncio.create_task(state.follow_links())
        await asyncio.sleep(0.05)
        assert state.endpoints("gateway", "shop") == ["10.0.0.2:80", "127.0.0.1:1"]
        links.with_suffix(".part").write_text("{}")
        links.with_suffix(".part").replace(links)
        for _ in range(100):
            await asyncio.sleep(0.02)
            if state.endpoints("gateway", "shop") == ["10.0.0.1:80", "10.0.0.2:80"]:
                break
        else:
            pytest.fail("the links were not read again")
        following.cancel()

    asyncio.run(scenario())


def test_switches_take_away_what_they_name():
    async def scenario():
        state = State()
        state.take(SERVICES, {})
        [shop, till] = told(state, "clusters")
        assert shop["health_checks"][0]["http_health_check"] == {"path": "/ready"}
        assert "outlier_detection" in till
        [table] = told(state, "routes")
        first = table["virtual_hosts"][0]["routes"][0]
        assert first["match"] == {"prefix": "/pay"}
        assert first["route"]["retry_policy"]["num_retries"] == 3
        state.take({}, {"health_checks_off": "on", "retries_off": "on", "discovery_stale": "on"})
        assert "health_checks" not in told(state, "clusters")[0]
        assert "retry_policy" not in told(state, "routes")[0]["virtual_hosts"][0]["routes"][0]["route"]
        assert len(state.endpoints("gateway", "shop")) == 2
        state.take({}, {})
        assert state.endpoints("gateway", "shop") == []

    asyncio.run(scenario())


def test_an_answer_comes_when_there_is_news_and_else_when_patience_ends():
    async def scenario():
        state = State()
        waiting = asyncio.create_task(state.answer("endpoints", {"node": NODE}, patience=5))
        await asyncio.sleep(0.02)
        assert not waiting.done()
        state.take(SERVICES, {})
        first = await asyncio.wait_for(waiting, 2)
        assert first["type_url"] == xds.TYPES["endpoints"]
        asked = {"node": NODE, "version_info": first["version_info"], "resource_names": ["shop"]}
        other = await state.answer("endpoints", asked, patience=5)
        assert [one["cluster_name"] for one in other["resources"]] == ["shop"]
        asked["version_info"] = other["version_info"]
        loop = asyncio.get_running_loop()
        began = loop.time()
        same = await state.answer("endpoints", asked, patience=0.1)
        assert same == other
        assert loop.time() - began >= 0.09
        waiting = asyncio.create_task(state.answer("endpoints", asked, patience=5))
        await asyncio.sleep(0)
        state.take({"shop/shop-7": '{"address": "10.0.0.7:80"}'}, {})
        changed = await asyncio.wait_for(waiting, 2)
        assert changed["version_info"] != same["version_info"]

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", "/v3/discovery:clusters", b"{", 400),
        ("POST", "/v3/discovery:clusters", b"[]", 400),
        ("GET", "/v3/discovery:clusters", b"", 404),
        ("POST", "/v3/discovery:secrets", b"{}", 404),
        ("GET", "/ready", b"", 503),
        ("GET", "/metrics", b"", 200),
    ],
)
def test_questions_it_does_not_understand(method, path, body, status):
    async def scenario():
        discovery = Discovery([("127.0.0.1", 1)], None)
        return await discovery.handle(Request(method, path, {}, body))

    assert asyncio.run(scenario()).status == status


@pytest.mark.parametrize(
    "arguments", [[], ["--listen", "x", "--registry", "h:1"], ["--listen", "h:1", "--registry", "h:0"]]
)
def test_bad_arguments(arguments, capsys):
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert "usage:" in capsys.readouterr().err
