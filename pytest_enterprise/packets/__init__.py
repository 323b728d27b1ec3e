"""The network of one instance, whose packets can be lost, late, doubled and out of order: a program of its own.

``python -m pytest_enterprise.packets NAME SEED [BLOCK ALIAS]``
"""
