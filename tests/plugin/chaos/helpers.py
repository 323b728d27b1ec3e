"""Functions that the experiments call."""

from chaoslib.exceptions import ActivityFailed


def four():
    return 4


def even(value):
    return value % 2 == 0


def stock():
    return {"items": [{"name": "pen"}, {"name": "ink"}]}


def broken():
    raise ActivityFailed("the action broke")
