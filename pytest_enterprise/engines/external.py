"""Something that runs already and is not ours to start."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from pytest_enterprise.engines import probe
from pytest_enterprise.engines.base import Engine, Launch, Site
from pytest_enterprise.errors import ConfigurationError


@dataclass(frozen=True, kw_only=True)
class External(Engine):
    """A server at ``url``. Link it, and give its clients the link's address: faults act on what goes through there."""

    kind: ClassVar[str] = "external"

    ready_path: str = "tcp"
    """A path that answers 200 when it is well; "tcp": it is well when it accepts a connection."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.url:
            raise ConfigurationError(f"{self.name}: an external engine needs a url, such as http://127.0.0.1:8080")

    @property
    def ports(self) -> Mapping[str, int]:
        return {"http": 0}

    def version(self) -> str:
        return "external"

    def launch(self, site: Site) -> Launch:
        return Launch(command=(self.url or "", site.name))

    async def ready(self, site: Site) -> str | None:
        address = site.host["http"]
        return await (probe.tcp(address) if self.ready_path == "tcp" else probe.http(address, self.ready_path))
