"""The native engine for open-loop load: requests from templates, sent at their intended times whatever the server does.

A program of its own, ``python -m pytest_enterprise.load.native FD``; pytest imports ``traffic`` and what describes
requests, never the engine.
"""
