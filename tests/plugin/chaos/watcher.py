"""A control that adds one to a number, and that ends the experiment before somebody gives up."""

from chaoslib.exceptions import InterruptExecution


def before_activity_control(context, **_):
    if context["name"] == "give up":
        raise InterruptExecution("enough")


def after_activity_control(context, state, **_):
    if context["name"] == "a number":
        state["output"] += 1
