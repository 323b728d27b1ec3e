"""Timers fire in order, never early, and survive a call that fails."""

from __future__ import annotations

import asyncio
from time import monotonic_ns

from pytest_enterprise.proxy.timers import Timers


def run(scenario):
    async def main():
        loop = asyncio.get_running_loop()
        failures = []
        loop.set_exception_handler(lambda _, context: failures.append(context["exception"]))
        timers = Timers(loop)
        try:
            await asyncio.wait_for(scenario(timers), 10)
        finally:
            timers.close()
        return failures

    return asyncio.run(main())


def test_calls_come_in_order_and_never_early():
    async def scenario(timers):
        done = asyncio.Event()
        start = monotonic_ns()
        fired = []
        for delay in (3.0, 0.3, 20.0, 1.0, 0.3):
            timers.at(start + int(delay * 1e6), lambda delay=delay: fired.append((delay, monotonic_ns() - start)))
        timers.at(start + 25_000_000, done.set)
        await done.wait()
        assert [delay for delay, _ in fired] == [0.3, 0.3, 1.0, 3.0, 20.0]
        assert all(took >= delay * 1e6 for delay, took in fired)

    assert run(scenario) == []


def test_a_cancelled_call_never_comes():
    async def scenario(timers):
        done = asyncio.Event()
        fired = []
        timers.after(0.001, lambda: fired.append(1)).cancel()
        timers.after(0.002, done.set)
        await done.wait()
        assert fired == []

    assert run(scenario) == []


def test_a_call_may_set_and_cancel_others():
    async def scenario(timers):
        done = asyncio.Event()
        when = monotonic_ns() + 1_000_000
        victim = []

        def first():
            victim[0].cancel()
            timers.after(0, done.set)

        timers.at(when, first)
        victim.append(timers.at(when, lambda: 1 / 0))
        await done.wait()

    assert run(scenario) == []


def test_a_call_that_fails_costs_the_others_nothing():
    async def scenario(timers):
        done = asyncio.Event()
        when = monotonic_ns() + 1_000_000
        timers.at(when, lambda: 1 / 0)
        timers.at(when, done.set)
        await done.wait()

    assert [type(failure) for failure in run(scenario)] == [ZeroDivisionError]


def test_a_moment_in_the_past_comes_at_once():
    async def scenario(timers):
        done = asyncio.Event()
        timers.at(0, done.set)
        await done.wait()

    assert run(scenario) == []
