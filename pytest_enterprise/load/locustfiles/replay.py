"""The locustfile of a replay; its arrivals name the file: ``{"kind": "replay", "path": "access.log"}``."""

from pytest_enterprise.load.replay_users import ReplayUser


class Replay(ReplayUser):
    """Sends what was recorded."""
