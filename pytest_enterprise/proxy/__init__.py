"""The fault proxy: a TCP relay with Toxiproxy's interface; run it with ``python -m pytest_enterprise.proxy``.

Layers, each importing only those before it: ``timers``, ``address``, ``toxics``, ``relay``, ``link``, ``collection``,
``tunnel``, then the control interface (``http``, ``values``, ``api``, ``enterprise``, ``metrics``).
"""
