"""Prometheus: metrics of what it links to, and alerts to Alertmanager."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from pytest_enterprise.engines import probe, version
from pytest_enterprise.engines.base import Engine, Launch, Site
from pytest_enterprise.errors import ConfigurationError


@dataclass(frozen=True, kw_only=True)
class Prometheus(Engine):
    """Scrapes every instance that it links to, through the links; also those that are added while it runs."""

    kind: ClassVar[str] = "prometheus"
    default_image: ClassVar[str] = "prom/prometheus:v2.53.5"
    obtain: ClassVar[str] = "python -m pytest_enterprise.engines.obtain, or put prometheus on PATH"
    asks_kernel: ClassVar[bool] = True

    paths: Mapping[str, str] = field(default_factory=dict, hash=False)
    """Engine to the path of its metrics, where that is not /metrics."""
    rules: Sequence[str] = ()
    """Files of alerting and recording rules."""
    scrape_interval: str = "1s"
    alertmanager: str = "alertmanager"
    """The engine that takes alerts, if it links to one of that name."""

    @property
    def ports(self) -> Mapping[str, int]:
        return {"http": 9090}

    def version(self) -> str:
        return version.of_program(self.locate("prometheus"))

    def _targets(self, site: Site) -> list[str]:
        return [server for server in site.links if server != self.alertmanager]

    def launch(self, site: Site) -> Launch:
        for engine in self.paths:
            site.link(engine)
        document: dict[str, Any] = {
            "global": {"scrape_interval": self.scrape_interval, "evaluation_interval": self.scrape_interval},
            "rule_files": [f"{site.config_inside}/{name}" for name in self._copy_rules(site)],
            "scrape_configs": [
                {
                    "job_name": server,
                    "metrics_path": self.paths.get(server, "/metrics"),
                    "scrape_timeout": self.scrape_interval,
                    "file_sd_configs": [{"files": [f"{site.config_inside}/targets/{server}.json"]}],
                }
                for server in self._targets(site)
            ],
        }
        if self.alertmanager in site.links:
            document["alerting"] = {
                "alertmanagers": [{"static_configs": [{"targets": [str(a) for a in site.links[self.alertmanager]]}]}]
            }
        # JSON is YAML, and Prometheus reads it as such.
        (site.config / "prometheus.yml").write_text(json.dumps(document, indent=1), encoding="utf-8")
        self.relink(site)
        return Launch(
            command=(
                "prometheus",
                f"--config.file={site.config_inside}/prometheus.yml",
                f"--storage.tsdb.path={site.data_inside}/tsdb",
                f"--web.listen-address={site.bind}:{site.listen['http']}",
                "--web.enable-lifecycle",
                "--log.level=warn",
            ),
        )

    def _copy_rules(self, site: Site) -> list[str]:
        names = []
        for number, rule in enumerate(self.rules):
            name = f"rules-{number}.yml"
            try:
                text = Path(rule).read_text(encoding="utf-8")
            except OSError as error:
                raise ConfigurationError(f"{self.name}: rules={rule!r} cannot be read: {error.strerror}") from None
            (site.config / name).write_text(text, encoding="utf-8")
            names.append(name)
        return names

    def relink(self, site: Site) -> None:
        """Write what is to be scraped; Prometheus watches these files."""
        folder = site.config / "targets"
        folder.mkdir(exist_ok=True)
        for server in self._targets(site):
            groups = [
                {"targets": [str(address)], "labels": {"instance": instance}}
                for instance, address in zip(site.instances[server], site.links[server], strict=True)
            ]
            partial = folder / f"{server}.json.part"
            partial.write_text(json.dumps(groups, indent=1), encoding="utf-8")
            partial.replace(folder / f"{server}.json")

    async def ready(self, site: Site) -> str | None:
        return await probe.http(site.host["http"], "/-/ready")
