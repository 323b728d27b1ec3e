"""Discovery: turns the service registry into routes that gateways fetch; a program of its own.

``python -m pytest_enterprise.discovery --listen HOST:PORT --registry HOST:PORT,... [--links FILE]``
"""
