"""From what users check and note to what is judged by it, through a real load."""

from __future__ import annotations

import pytest

from pytest_enterprise.objectives import Correctness, Durability, Freshness, ObjectiveBroken, Objectives

CLERK = """
import time
from locust import task
from pytest_enterprise.load.users import EnterpriseUser

class Clerk(EnterpriseUser):
    rate = 200

    @task
    def file_and_read(self):
        key = "order-%d" % self.random.getrandbits(60)
        with self.client.post("/orders", json={"key": key}, name="/orders", catch_response=True) as answer:
            if answer.status_code == 200:
                self.acknowledged(key)
        with self.client.get("/total", name="/total", catch_response=True) as answer:
            if answer.status_code != 200:
                answer.failure("no total")
            elif answer.text != "3":
                answer.failure("the total is %s" % answer.text)
        self.saw("total", age=0.02, endpoint="GET /total")
"""


class Shop:
    """Takes orders. When odd, every tenth total is wrong, every seventh refused, every twentieth order forgotten."""

    def __init__(self, server, odd):
        self.odd = odd
        self.kept = set()
        self.filed = self.asked = 0
        self.url = server.url
        server.task = self.answer

    def answer(self, method, path, head, body):
        if method == "POST":
            self.filed += 1
            if not self.odd or self.filed % 20:
                self.kept.add(body["key"])
            return 200, b"filed"
        self.asked += 1
        if self.odd and self.asked % 7 == 0:
            return 503, b""
        return 200, b"4" if self.odd and self.asked % 10 == 0 else b"3"


@pytest.mark.parametrize("odd", [False, True])
def test_checks_and_notes_are_judged(serve, load, locustfile, odd):
    """A sound shop holds; an odd one breaks correctness and durability, with its refusals left out of the answers."""
    shop = Shop(serve("tasks"), odd)
    with load(locustfile(CLERK), users=4, host=shop.url) as traffic:
        traffic.wait_for_requests(1600)
    made = Objectives(lambda kind, **fields: None, "test")
    objectives = (
        Correctness(at_least=0.99, endpoint="GET /total", phase="whole"),
        Durability(kept=shop.kept),
        Freshness(at_most=0.05, endpoint="GET /total", phase="whole"),
    )
    if not odd:
        assert {verdict.outcome for verdict in made.check(*objectives, load=traffic)} == {"held"}
        return
    with pytest.raises(ObjectiveBroken, match=r"answers were wrong \(\d+ × wrong: the total is 4\)"):
        made.check(*objectives, load=traffic)
    assert [verdict.outcome for verdict in made.verdicts] == ["broken", "broken", "held"]
    refused = [request for request in traffic.records() if request.error == "no total"]
    assert len(refused) > 50
    asked = [request for request in traffic.records() if request.name == "GET /total" and request.error != "unfinished"]
    assert made.verdicts[0].samples == len(asked) - len(refused)
