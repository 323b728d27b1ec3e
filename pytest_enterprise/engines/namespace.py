"""Commands under which another sees files and directories of its own: a mount namespace, through util-linux."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping
from pathlib import Path


def alone(script: str, *, unprivileged: bool) -> tuple[str, ...]:
    """What to put before a command so that ``script`` runs first, in a mount namespace that the two share.

    Root needs nothing else. Others are root in a user namespace for the script; and what must not be root is put into
    one more, where it is an ordinary user again.
    """
    ends = f'{script} && exec "$@"'
    if os.geteuid() == 0 and not unprivileged:
        return ("/usr/bin/unshare", "--mount", "sh", "-c", ends, "sh")
    user = ("/usr/bin/unshare", "--user", "--map-user=1000", "--map-group=1000") if unprivileged else ()
    return ("/usr/bin/unshare", "--user", "--map-root-user", "--mount", "sh", "-c", ends, "sh", *user)


def put_over(files: Mapping[str, Path]) -> str:
    """A script that shows files and directories of this machine in place of others."""
    return " && ".join(
        shlex.join(("mount", "--rbind", str(source.absolute()), place)) for place, source in files.items()
    )
