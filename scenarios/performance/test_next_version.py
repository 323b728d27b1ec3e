"""Whether the next version of the service is slower than the present one."""

from dataclasses import replace

import pytest

from pytest_enterprise import Expect, HttpRequest, Link, Poisson, Stack, load_block
from pytest_enterprise.images.build import tag

pytestmark = pytest.mark.performance

REQUESTS = [
    HttpRequest(
        "POST",
        "/tasks",
        json={"goal": "work out {int:1:999} * {int:1:999}"},
        headers={"Idempotency-Key": "{uuid}"},
        expect=Expect(status=201),
    ),
]


@pytest.fixture(scope="session")
def enterprise_stack_spec(enterprise_stack_spec):
    """The reference stack, and beside it the next version of the service, to which no gateway leads."""
    present = enterprise_stack_spec.engine("agent-service")
    command = (*present.command, "--service=next-service", "--next")
    image = present.image or tag(present.name)
    following = replace(present, name="next-service", replicas=1, command=command, image=image)
    return Stack(
        [*enterprise_stack_spec.engines, following],
        [*enterprise_stack_spec.links, Link("next-service", "postgres"), Link("next-service", "etcd")],
    )


@pytest.mark.control("SOC2:CC8.1", "ISO27001:A.8.32", kind="change")
@pytest.mark.scenario(claim="no-slower-release", sabotage={"next_is_slow": "no-regression-cpu"})
def test_the_next_version_is_no_slower(stack, load, compare):
    """Eight blocks of each by turns: the CPU time of a task has not grown by more than two fifths."""
    stack.ensure("agent-service", "next-service")

    def block(instance):
        return load_block(
            load.http,
            REQUESTS,
            arrivals=Poisson(rate=200),
            host=stack.url(instance),
            seconds=0.8,
            cpu=lambda: stack.cpu_seconds(instance),
        )

    compare(block("agent-service-1"), block("next-service"), metric="cpu", blocks=8, margin=0.4).check()
