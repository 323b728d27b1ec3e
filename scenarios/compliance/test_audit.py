"""Whether the audit log tells of everything that was done."""

import pytest

from pytest_enterprise import Fact

pytestmark = pytest.mark.compliance


@pytest.mark.control("SOC2:CC7.2", "ISO27001:A.8.15", kind="log-integrity")
@pytest.mark.scenario(claim="audit-trail", sabotage={"audit_off": "unaudited"})
def test_every_task_has_an_audit_row(stack, journey, books, faults, objectives):
    """Under load, with a replica killed in the middle of it, each recorded task has one row, by its own replica."""
    with journey(rate=40) as traffic:
        traffic.run_for(1)
        with faults.kill("agent-service-3") as kill:
            traffic.run_for(2)
        traffic.run_for(1)
    objectives.check(*audit(traffic, books), load=traffic, faults=[kill])


@pytest.mark.control("SOC2:CC7.2", "ISO27001:A.8.15", kind="log-integrity")
@pytest.mark.scenario(claim="audit-of-the-unheard", sabotage={"audit_off": "unaudited"})
def test_commits_that_nobody_hears_of_are_audited_once(journey, books, faults, objectives):
    """Connections to the database break after the commit: the row that tells of a task is there, and there once."""
    with journey(rate=40) as traffic:
        traffic.run_for(0.5)
        with faults.cut_answer(
            "agent-service -> postgres", protocol="postgres", match="INSERT INTO tasks", share=0.05
        ) as cut:
            traffic.run_for(3)
        traffic.run_for(1)
    objectives.check(*audit(traffic, books), load=traffic, faults=[cut])


def audit(traffic, books):
    """What the audit log tells of the tasks that this load was told of."""
    acknowledged = {entry["key"] for entry in traffic.operations() if entry["status"] == "ok"}
    rows = books.query(
        "SELECT t.idempotency_key, count(a.task_id), bool_and(a.actor = t.recorded_by) "
        "FROM tasks t LEFT JOIN audit_log a ON a.task_id = t.id GROUP BY t.id, t.idempotency_key"
    )
    ours = [row for row in rows if row[0] in acknowledged]
    return (
        Fact("acknowledged", len(ours), 30, ">=", "tasks"),
        Fact("unaudited", sum(count == 0 for _, count, _ in ours), 0, "<=", "tasks"),
        Fact("audited-twice", sum(count > 1 for _, count, _ in ours), 0, "<=", "tasks"),
        Fact("by-another", sum(count > 0 and not same for _, count, same in ours), 0, "<=", "tasks"),
    )
