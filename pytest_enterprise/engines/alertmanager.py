"""Alertmanager: groups, routes and silences alerts."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from pytest_enterprise.engines import probe, version
from pytest_enterprise.engines.base import Engine, Launch, Site
from pytest_enterprise.errors import ConfigurationError

_PROGRAMS = ("prometheus-alertmanager", "alertmanager")
_NOWHERE: dict[str, Any] = {"route": {"receiver": "nobody"}, "receivers": [{"name": "nobody"}]}
_TEMPLATES = "prometheus/alertmanager/default.tmpl"
_SHARE = Path("/usr/share")


@dataclass(frozen=True, kw_only=True)
class Alertmanager(Engine):
    """Takes alerts from Prometheus; by default it keeps them and notifies nobody."""

    kind: ClassVar[str] = "alertmanager"
    default_image: ClassVar[str] = "prom/alertmanager:v0.27.0"
    obtain: ClassVar[str] = "python -m pytest_enterprise.engines.obtain, or put alertmanager on PATH"
    asks_kernel: ClassVar[bool] = True

    configuration: str = ""
    """A file of routes and receivers, in Alertmanager's own form."""

    @property
    def ports(self) -> Mapping[str, int]:
        return {"http": 9093}

    def locate(self, program: str) -> Path | None:
        names = _PROGRAMS if program in _PROGRAMS else (program,)
        return next((found for name in names if (found := super(Alertmanager, self).locate(name))), None)

    def version(self) -> str:
        return version.of_program(self.locate(_PROGRAMS[0]))

    def launch(self, site: Site) -> Launch:
        text = json.dumps(_NOWHERE)
        if self.configuration:
            try:
                text = Path(self.configuration).read_text(encoding="utf-8")
            except OSError as error:
                raise ConfigurationError(
                    f"{self.name}: configuration={self.configuration!r} cannot be read: {error.strerror}"
                ) from None
        (site.config / "alertmanager.yml").write_text(text, encoding="utf-8")
        return Launch(
            over=self._templates(site),
            command=(
                "alertmanager",
                f"--config.file={site.config_inside}/alertmanager.yml",
                f"--storage.path={site.data_inside}/alertmanager",
                f"--web.listen-address={site.bind}:{site.listen['http']}",
                "--cluster.listen-address=",
                "--log.level=warn",
            ),
        )

    def _templates(self, site: Site) -> Mapping[str, Path]:
        """Debian's program reads templates from below /usr/share and only there: those that it came with."""
        program = self.locate(_PROGRAMS[0]) if site.runtime == "process" else None
        unpacked = program.parent.parent / "share" if program else _SHARE
        if (_SHARE / _TEMPLATES).exists() or not (unpacked / _TEMPLATES).exists():
            return {}
        return {str(_SHARE): unpacked}

    async def ready(self, site: Site) -> str | None:
        return await probe.http(site.host["http"], "/-/ready")
