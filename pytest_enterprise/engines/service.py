"""A user's own service: any command or image, told by placeholders where it lives and whom it dials."""

from __future__ import annotations

import string
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from pytest_enterprise.engines import probe
from pytest_enterprise.engines.base import Engine, Launch, Site
from pytest_enterprise.errors import ConfigurationError, nearest


class _Links(dict[str, str]):
    def __init__(self, site: Site) -> None:
        super().__init__({server: ",".join(map(str, addresses)) for server, addresses in site.links.items()})
        self._site = site

    def __missing__(self, server: str) -> str:
        raise ConfigurationError(
            f"{self._site.name}: {{link[{server}]}} names no link. {nearest(server, self)} "
            f"Add Link({self._site.name!r}, {server!r}) to the stack."
        )


@dataclass(frozen=True, kw_only=True)
class Service(Engine):
    """A command with placeholders: {name} {index} {bind} {port} {address} {config} {data} {seed} {python} {link[X]}.

    ``{link[postgres]}`` becomes ``host:port`` of the link to the engine ``postgres``, several joined by commas;
    ``{address}`` is the service's own address as the other engines would reach it with no link between.
    """

    kind: ClassVar[str] = "service"
    obtain: ClassVar[str] = "Give its command as one can type it here."

    command: Sequence[str] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    port: int = 8000
    """The port inside a container."""
    ready_path: str = "/"
    """A path that answers 200 once it is ready; "tcp": it is ready when it accepts a connection."""
    stop_timeout: float = 5.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.command and not self.url:
            raise ConfigurationError(f"{self.name}: command=() starts nothing; give the service's command, or its url")
        if isinstance(self.command, str):
            raise ConfigurationError(f"{self.name}: command={self.command!r} is one text; give a tuple of words")

    @property
    def ports(self) -> Mapping[str, int]:
        return {"http": self.port}

    def _fill(self, text: str, values: Mapping[str, Any]) -> str:
        for _, name, _, _ in string.Formatter().parse(text):
            base = (name or "").partition("[")[0].partition(".")[0]
            if name is not None and base not in values:
                raise ConfigurationError(f"{self.name}: placeholder {{{name}}} in {text!r}. {nearest(base, values)}")
        return text.format_map(values)

    def launch(self, site: Site) -> Launch:
        values = {
            "name": site.name,
            "index": site.index,
            "bind": site.bind,
            "port": site.listen["http"],
            "address": site.network[site.name]["http"],
            "config": site.config_inside,
            "data": site.data_inside,
            "seed": site.seed,
            "python": sys.executable if site.runtime == "process" else "python3",
            "link": _Links(site),
        }
        return Launch(
            command=[self._fill(word, values) for word in self.command],
            env={name: self._fill(text, values) for name, text in self.env.items()},
            stop_timeout=self.stop_timeout,
        )

    def locate(self, program: str) -> Path | None:
        return Path(program) if Path(program).is_absolute() else super().locate(program)

    async def ready(self, site: Site) -> str | None:
        address = site.host["http"]
        return await (probe.tcp(address) if self.ready_path == "tcp" else probe.http(address, self.ready_path))
