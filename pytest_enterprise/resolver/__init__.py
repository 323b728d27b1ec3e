"""A resolver of a stack's own names, with faults; a program of its own: ``python -m pytest_enterprise.resolver``."""
