"""The agent's tools and plans."""

import asyncio
import math

import pytest
from agent_service import agent, configuration
from agent_service.calculator import NotArithmetic, work_out
from hypothesis import example, given
from hypothesis import strategies as st

NUMBERS = st.integers(0, 10**6) | st.floats(0, 1e6, allow_nan=False).map(lambda x: round(x, 3))


@given(
    st.recursive(
        NUMBERS.map(str),
        lambda inner: st.tuples(inner, st.sampled_from("+-*"), inner).map(lambda t: f"({t[0]}{t[1]}{t[2]})"),
        max_leaves=4,
    )
)
def test_the_calculator_agrees_with_python(text):
    expected = eval(text)
    if abs(expected) > 10**18:
        with pytest.raises(NotArithmetic):
            work_out(text)
    else:
        assert math.isclose(work_out(text), expected)


@given(st.text(max_size=60))
@example("\x00")
def test_the_calculator_refuses_everything_else_politely(text):
    try:
        assert isinstance(work_out(text), (int, float))
    except NotArithmetic:
        pass


@pytest.mark.parametrize(
    "text",
    [
        "",
        "9**9**9",
        "1/0",
        "2**65",
        "x",
        "__import__('os')",
        "(" * 400,
        "10**19",
        "True",
        "'a'*3",
        "1e400",
        "(-8)**0.5",
        "1" * 501,
    ],
)
def test_the_calculator_knows_its_limits(text):
    with pytest.raises(NotArithmetic):
        work_out(text)


def carry_out(plan, memory=()):
    async def search(text):
        return [content for content in memory if text in content]

    return asyncio.run(agent.carry_out(plan, search))


def test_steps_may_use_the_outcome_before_them():
    plan = [{"tool": "calculator", "input": "6*7"}, {"tool": "calculator", "input": "{previous} + 1"}]
    assert carry_out(plan) == ["42", "43"]


def test_a_goal_alone_becomes_a_plan():
    assert agent.plan_of("what is (3+4)*5?", None, max_steps=5) == [{"tool": "calculator", "input": "(3+4)*5"}]
    plan = agent.plan_of("rivers", None, max_steps=5)
    assert (
        carry_out(plan, ["rivers are long. rivers are wet. Nothing else matters here. rivers, rivers."])[-1].count(
            "rivers"
        )
        >= 2
    )
    assert carry_out(plan)[-1] == "Nothing is known about that."


@pytest.mark.parametrize(
    ("goal", "plan", "message"),
    [
        (None, None, "goal must be"),
        ("", None, "goal must be"),
        ("x", [], "1 to 3 steps"),
        ("x", [{}] * 4, "1 to 3 steps"),
        ("x", ["calculator"], "step 1 must have a tool and an input"),
        ("x", [{"tool": "shell", "input": "id"}], "one of calculator, search, summarise"),
        ("x", [{"tool": "search", "input": ""}], "step 1: input must be"),
    ],
)
def test_a_bad_task_is_told_what_is_wrong(goal, plan, message):
    with pytest.raises(agent.BadTask, match=message):
        agent.plan_of(goal, plan, max_steps=3)


def test_summaries_keep_whole_sentences_in_their_order():
    text = "Cats sleep. Cats and dogs play with cats. The weather was fine. Dogs and cats eat."
    assert agent.summarise(text) in text.replace(" The weather was fine.", "") or "weather" not in agent.summarise(text)
    assert agent.summarise("One. Two.") == "One. Two."


def test_configuration_ignores_what_it_does_not_know(capsys):
    found = configuration.read(
        {"client_rate": "7", "max_steps": "3", "max_tasks": "-1", "colour": "1", "retry_percent": "x"},
        {"audit_off": "on", "unknown": "on"},
    )
    assert (found.client_rate, found.max_steps, found.max_tasks, found.retry_percent) == (7, 3, 200, 20)
    assert found.switches == {"audit_off"}
    assert capsys.readouterr().err.count("configuration:") == 3
