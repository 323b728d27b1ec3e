"""The fault proxy: a TCP relay with Toxiproxy's interface; run it with ``python -m pytest_enterprise.proxy``.

Layers, each importing only those before it: ``timers``, ``address``, ``toxics``, ``relay``, ``listener``, ``link``,
``tunnel``, ``collection``, then the control interface (``values``, ``http``, ``control``, ``api``, ``enterprise``,
``metrics``) and ``program``.
"""
