"""What only the machine of a run can tell, put into its directory: which programs and images ran, what is installed."""

from __future__ import annotations

import shlex
import shutil
import time
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_enterprise import events as events_module
from pytest_enterprise.errors import EnterpriseError
from pytest_enterprise.evidence import canonical, exceptions, sbom
from pytest_enterprise.evidence.frameworks import Frameworks

if TYPE_CHECKING:
    from pytest_enterprise.run import Run

OF_ENGINE = ("name", "kind", "runtime", "version", "program", "sha256", "image", "image_digest")
"""What is told of each engine."""
FOLDER = "frameworks"
"""Where the run directory keeps copies of the user's frameworks and overlays."""


def begin(run: Run, root: Path) -> list[dict[str, str]]:
    """Put the exceptions and frameworks that a run goes by into its directory; the exceptions that have expired.

    Files are named relative to ``root``. Raises ConfigurationError for one that is missing or wrong.
    """
    settings = run.settings
    found = exceptions.load(root / settings.exceptions)
    files = [root / name for name in settings.frameworks]
    if files:
        Frameworks(files)  # before anything runs
        (run.directory / FOLDER).mkdir(exist_ok=True)
        for number, path in enumerate(files):
            shutil.copyfile(path, run.directory / FOLDER / f"{number:02}-{path.name}")
    evidence = {"environment": settings.environment, "oscal_version": settings.oscal_version, "exceptions": found}
    run.write(evidence=evidence)
    today = time.strftime("%Y-%m-%d", time.gmtime())
    return [exception for exception in found if exceptions.expired(exception, today)]


def end(run: Run) -> None:
    """Put engines with digests, the frameworks' versions and the SBOM into the directory of a run that has ended."""
    document = run.read()
    events = events_module.read(run.directory)
    started = engines(events)
    evidence = {
        **document.get("evidence", {}),
        "engines": started,
        "frameworks": used_frameworks(run.directory, events),
    }
    run.write(evidence=evidence)
    sbom.write(
        run.directory,
        run=run.id,
        made=str(document.get("finished") or document.get("started")),
        version=str(document.get("version")),
        engines=started,
    )


def own_frameworks(directory: Path) -> Frameworks:
    """The frameworks that a run went by."""
    return Frameworks(sorted((directory / FOLDER).glob("*.toml")))


def used_frameworks(directory: Path, events: Iterable[events_module.Event]) -> list[dict[str, str]]:
    """Id, version and digests of the frameworks whose controls the tests of a run name."""
    known = own_frameworks(directory)
    prefixes = {
        str(control).partition(":")[0]
        for event in events
        if event["kind"] == "test.started"
        if isinstance(event.get("controls"), list)
        for control in event["controls"]
    }
    used = []
    for prefix in sorted(prefixes):
        try:
            framework = known.framework(prefix)
        except EnterpriseError:  # of a run before controls were checked
            continue
        used.append(
            {
                "id": framework.id,
                "title": framework.title,
                "version": framework.version,
                "sha256": framework.sha256,
                "overlay": framework.overlay,
            }
        )
    return used


def engines(events: Iterable[events_module.Event]) -> list[dict[str, Any]]:
    """The engines that a run started, each with version and the digest of its program or image, where it can be had."""
    found: dict[str, dict[str, Any]] = {}
    digests: dict[str, str | None] = {}
    for event in events:
        name = str(event.get("engine"))
        if event["kind"] == "engine.starting":
            image = str(event.get("image") or "")
            program = _program(event.get("command")) if event.get("runtime") == "process" else ""
            if program not in digests:
                digests[program] = _digest(program)
            found[name] = {
                "name": name,
                "kind": str(event.get("kind_of_engine") or ""),
                "runtime": str(event.get("runtime") or ""),
                "version": "unknown",
                "program": program,
                "sha256": digests[program],
                "image": image or None,
                "image_digest": _image_digest(image) if image else None,
            }
        elif event["kind"] == "engine.ready" and name in found:
            found[name]["version"] = str(event.get("version") or "unknown")
    return list(found.values())


def _program(command: Any) -> str:
    if isinstance(command, list):
        return str(command[0]) if command else ""
    try:
        words = shlex.split(str(command or ""))
    except ValueError:
        return ""
    return words[0] if words else ""


def _digest(program: str) -> str | None:
    where = shutil.which(program) if program else None
    try:
        return canonical.sha256(Path(where)) if where else None
    except OSError:
        return None


def _image_digest(image: str) -> str | None:
    from pytest_enterprise.runtimes import docker_socket

    try:
        told = docker_socket.request("GET", f"/images/{image}/json", timeout=5.0)
    except EnterpriseError:
        return None
    return str(told["Id"]) if isinstance(told, dict) and told.get("Id") else None
