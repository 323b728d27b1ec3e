"""Engines in Docker containers, through testcontainers: one bridge network per stack, one container per instance.

Containers run as the user who runs pytest, so that everything in the run directory stays that user's; for root, what
must not be root (PostgreSQL) runs as ``nobody``. Ports that this machine needs are published on 127.0.0.1 only.
"""

from __future__ import annotations

import asyncio
import ipaddress
import itertools
import os
import re
import secrets
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_enterprise import __version__
from pytest_enterprise.engines.base import Address, Engine, Launch, Site
from pytest_enterprise.errors import ConfigurationError, EngineFailed, EngineMissing
from pytest_enterprise.run import LABEL, VARIABLE, Run
from pytest_enterprise.runtimes import container_leftovers, docker_socket
from pytest_enterprise.runtimes.base import Instance, Placement, Runtime, make_home
from pytest_enterprise.runtimes.container_leftovers import NETWORK, OWNER

if TYPE_CHECKING:
    from testcontainers.core.container import DockerContainer
    from testcontainers.core.network import Network

    from pytest_enterprise.runtimes.container_instance import ContainerInstance

PREFIX = "pytest-enterprise"
"""Images that ``pytest-enterprise images`` builds are tagged ``pytest-enterprise/<kind>:<version>``."""
CONFIG = Path("/etc/enterprise")
DATA = Path("/var/lib/enterprise")
_NOBODY = 65534
_FIRST_HOST = 16
"""The first address of the network that an instance gets; those below stay Docker's."""

# Without these, connecting to a container that was killed hangs for many seconds: its hardware address is remembered,
# and what is sent to it is lost without a word. With them the answer is "no route to host" in about 0.2 s.
_NEIGHBOURS = {
    "base_reachable_time_ms": 100,
    "delay_first_probe_time": 0,
    "retrans_time_ms": 50,
    "ucast_solicit": 1,
}

find_leftovers = container_leftovers.find
remove_leftovers = container_leftovers.remove_leftovers
docker_answers = docker_socket.answers
image_available = docker_socket.has_image


def built_images(engine: Engine) -> tuple[str, ...]:
    """The tags under which ``pytest-enterprise images`` would have built an image for it, best first."""
    return tuple(dict.fromkeys(f"{PREFIX}/{name}:{__version__}" for name in (engine.kind, engine.name)))


def find_image(engine: Engine) -> str | None:
    """The image that this machine has for an engine: its own, else one built here, else the upstream one."""
    wanted = (engine.image,) if engine.image else (*built_images(engine), engine.default_image)
    return next((image for image in wanted if image and image_available(image)), None)


def import_testcontainers() -> None:
    """Make testcontainers importable as it is needed here. Its own reaper is an image that may not be pullable."""
    os.environ.setdefault("TESTCONTAINERS_RYUK_DISABLED", "true")
    os.environ.setdefault("TESTCONTAINERS_HOST_OVERRIDE", "127.0.0.1")
    try:
        import testcontainers.core.container  # noqa: F401
    except ImportError as error:
        raise ConfigurationError(
            f"runtime 'container': {error}. It needs testcontainers: pip install 'pytest-enterprise[containers]'"
        ) from error


def check_daemon() -> None:
    """Raise ConfigurationError unless a Docker daemon on this machine answers."""
    where = docker_socket.address()
    if not docker_socket.is_local(where):
        raise ConfigurationError(
            f"runtime 'container': DOCKER_HOST or the Docker context points to {where}, but the daemon must be on this "
            "machine, because configuration is mounted and ports are published on 127.0.0.1. Use a unix:// address."
        )
    try:
        docker_socket.request("GET", "/_ping", timeout=10)
    except (docker_socket.DaemonSilent, docker_socket.DaemonRefused) as error:
        raise ConfigurationError(
            f"runtime 'container': {error}. Start Docker, set DOCKER_HOST, or use --enterprise-runtime=process."
        ) from error


class ContainerRuntime(Runtime):
    """Starts instances as containers on a network of their own."""

    name = "container"

    def __init__(self, run: Run) -> None:
        super().__init__(run)
        worker = f"-{run.worker}" if run.worker else ""
        self._network_name = f"{PREFIX}-{run.id}{worker}-{secrets.token_hex(2)}".lower()
        self._network: Network | None = None
        self._api_version = "1.41"
        self._addresses: Iterator[ipaddress.IPv4Address] = iter(())
        self._ip: dict[str, str] = {}
        self._instances: list[ContainerInstance] = []
        self._starting: set[asyncio.Task[Instance]] = set()
        self._reaper: subprocess.Popen[bytes] | None = None

    @property
    def labels(self) -> dict[str, str]:
        """What every container and network of it carries."""
        return {LABEL: self.run.id, OWNER: container_leftovers.owner(), NETWORK: self._network_name}

    async def open(self) -> None:
        await asyncio.to_thread(self._open)

    def _open(self) -> None:
        check_daemon()
        import_testcontainers()
        container_leftovers.remove_leftovers()
        self._reaper = subprocess.Popen(
            (sys.executable, "-m", "pytest_enterprise.runtimes.container_reaper", self._network_name),
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            env={**os.environ, VARIABLE: self.run.id},
        )
        self._addresses = itertools.islice(self._create_network().hosts(), _FIRST_HOST - 1, None)

    def _create_network(self) -> ipaddress.IPv4Network:
        """A network whose instances have fixed addresses; its range is one that Docker itself finds free."""
        import docker.errors
        from docker.types import IPAMConfig, IPAMPool
        from testcontainers.core.network import Network

        settings: dict[str, Any] = {
            "driver": "bridge",
            "labels": self.labels,
            "options": {"com.docker.network.bridge.host_binding_ipv4": "127.0.0.1"},
        }
        self._network = Network(docker_network_kw=settings)
        self._network.name = self._network_name
        networks = self._network._docker.client.networks  # noqa: SLF001
        self._api_version = networks.client.api._version  # noqa: SLF001
        for attempts_left in reversed(range(5)):
            try:
                probe = networks.create(f"{self._network_name}-range", driver="bridge", labels=self.labels)
                probe.reload()
                pool = next(p["Subnet"] for p in probe.attrs["IPAM"]["Config"] if ":" not in p["Subnet"])
                probe.remove()
                settings["ipam"] = IPAMConfig(pool_configs=[IPAMPool(subnet=pool)])
                self._network.create()
                break
            except docker.errors.APIError as error:
                # Two runs that begin together may be offered the same range.
                if not attempts_left or "overlap" not in str(error):
                    raise EngineFailed(
                        f"Docker could not make the network {self._network_name}: {error.explanation}. "
                        "`docker network prune` frees the ranges of unused networks."
                    ) from error
        return ipaddress.IPv4Network(pool)

    def place(self, engine: Engine, instance: str) -> Placement:
        folder = make_home(self.run, instance)
        ip = self._ip[instance] = str(next(self._addresses))
        return Placement(
            bind="0.0.0.0",
            listen=dict(engine.ports),
            host={
                port: Address("127.0.0.1", self.run.ports.take()) for port in engine.ports if port in engine.published
            },
            network={port: Address(ip, number) for port, number in engine.ports.items()},
            config=folder / "config",
            data=folder / "data",
            config_inside=CONFIG,
            data_inside=DATA,
        )

    def _image(self, engine: Engine) -> str:
        """The image to start: one that is here, else the named or the upstream one, pulled."""
        if image := find_image(engine):
            return image
        image = engine.image or engine.default_image
        if not image:
            raise EngineMissing(
                f"{engine.name}: there is no image for it ({' or '.join(built_images(engine))} is not built). "
                f"Build it with `pytest-enterprise images {engine.kind}`, or name one with "
                f"--enterprise-images={engine.name}=IMAGE."
            )
        import docker.errors

        assert self._network is not None
        try:
            self._network._docker.client.images.pull(image)  # noqa: SLF001
        except docker.errors.APIError as error:
            raise EngineMissing(
                f"{engine.name}: its image {image} is not here and could not be pulled ({error.explanation}). Build "
                "images from a Debian base with `pytest-enterprise images`, or name one with "
                f"--enterprise-images={engine.name}=IMAGE."
            ) from error
        return image

    async def start(self, engine: Engine, site: Site, launch: Launch) -> Instance:
        # A call of the Docker API cannot be cancelled: whoever cancels this leaves it to `close` to wait for its end.
        task = asyncio.ensure_future(asyncio.to_thread(self._start, engine, site, launch))
        self._starting.add(task)
        task.add_done_callback(self._starting.discard)
        return await asyncio.shield(task)

    def _start(self, engine: Engine, site: Site, launch: Launch) -> Instance:
        import docker.errors

        from pytest_enterprise.runtimes.container_instance import ContainerInstance

        image = self._image(engine)
        container = self._declare(site, launch, image)
        folder = site.config.parent
        instance = ContainerInstance(site.name, container, launch, folder / "log", self._command_line(container, image))
        try:
            container.start()
        except docker.errors.APIError as error:
            # Created or not, what there is goes away; a port that is taken shows only at the start.
            if container._container is not None:  # noqa: SLF001
                instance.remove()
            else:
                container.get_docker_client().client.close()
            raise EngineFailed(
                f"{site.name}: Docker could not start its container: {error.explanation}. "
                f"Command: {instance.command_line}"
            ) from error
        self._instances.append(instance)
        return instance

    def _declare(self, site: Site, launch: Launch, image: str) -> DockerContainer:
        from docker.types import EndpointConfig
        from testcontainers.core.container import DockerContainer

        assert self._network is not None
        container = DockerContainer(image)
        container.image = image  # a prefix for Docker Hub, which testcontainers adds, would break local tags
        container.with_name(f"{self._network_name}-{site.name}")
        container.with_network(self._network)
        container.env = {"HOME": "/tmp", "LANG": "C.UTF-8", **launch.env, VARIABLE: self.run.id}
        container.with_volume_mapping(site.config, str(CONFIG), "ro")
        container.with_volume_mapping(site.data, str(DATA), "rw")
        for place, file in launch.over.items():
            container.with_volume_mapping(file, place, "ro")
        for port, published in site.host.items():
            # testcontainers' own method knows no address to bind to.
            container.ports[f"{site.listen[port]}/tcp"] = (published.host, published.port)  # type: ignore[assignment]
        entrypoint, *arguments = self._argv(launch)
        container.with_command(arguments)
        sysctls = {f"net.ipv4.neigh.eth0.{name}": str(value) for name, value in _NEIGHBOURS.items()}
        modern = tuple(map(int, self._api_version.split("."))) >= (1, 46)
        options = {
            "com.docker.network.endpoint.sysctls": ",".join(
                f"{name.replace('eth0', 'IFNAME')}={value}" for name, value in sysctls.items()
            )
        }
        return container.with_kwargs(
            entrypoint=[entrypoint],
            user=self._user(site, launch, container),
            labels=self.labels,
            init=True,
            shm_size="256m",
            stop_signal=launch.stop_signal,
            hostname=re.sub(r"[^a-zA-Z0-9-]", "-", site.name)[:63],
            networking_config={
                self._network_name: EndpointConfig(
                    self._api_version,
                    aliases=[site.name],
                    ipv4_address=self._ip[site.name],
                    driver_opt=options if modern else None,
                )
            },
            **({} if modern else {"sysctls": sysctls}),
        )

    def _argv(self, launch: Launch) -> list[str]:
        """The command, preceded at the first start of the container by its setup."""
        if not launch.setup:
            return list(launch.command)
        marker = "/tmp/.enterprise-set-up"
        steps = " && ".join(shlex.join(step) for step in launch.setup)
        script = f'if [ ! -e {marker} ]; then {{ {steps} && : > {marker}; }} || exit; fi; exec "$@"'
        return ["/bin/sh", "-c", script, "sh", *launch.command]

    def _user(self, site: Site, launch: Launch, container: DockerContainer) -> str:
        uid, gid = os.getuid(), os.getgid()
        if uid != 0:
            # Some programs (initdb) ask for the name of their user.
            passwd = site.config.parent / "passwd"
            passwd.write_text(
                f"root:x:0:0:root:/root:/bin/sh\nenterprise:x:{uid}:{gid}:enterprise:/tmp:/bin/sh\n", encoding="ascii"
            )
            container.with_volume_mapping(passwd, "/etc/passwd", "ro")
        elif launch.unprivileged:
            uid = gid = _NOBODY
            for path in (site.data, *site.data.rglob("*")):
                os.chown(path, uid, gid, follow_symlinks=False)
        return f"{uid}:{gid}"

    def _command_line(self, container: DockerContainer, image: str) -> list[str]:
        options = [f"--name={container._name}", f"--network={self._network_name}"]  # noqa: SLF001
        options += [f"--env={name}={value}" for name, value in container.env.items()]
        options += [f"--volume={host}:{mount['bind']}:{mount['mode']}" for host, mount in container.volumes.items()]
        bound: dict[str, Any] = container.ports
        options += [f"--publish={host[0]}:{host[1]}:{inside}" for inside, host in bound.items()]
        kwargs = container._kwargs  # noqa: SLF001
        options += [f"--user={kwargs['user']}", f"--entrypoint={kwargs['entrypoint'][0]}"]
        return ["docker", "run", *options, image, *(container._command or ())]  # noqa: SLF001

    async def close(self) -> None:
        await asyncio.gather(*self._starting, return_exceptions=True)
        await asyncio.gather(*(asyncio.to_thread(instance.remove) for instance in self._instances))
        self._instances.clear()
        await asyncio.to_thread(self._close)

    def _close(self) -> None:
        reaper, self._reaper = self._reaper, None
        if reaper is None:
            return
        message = b""
        try:
            # By label, so that what a failed start left half made goes too.
            container_leftovers.remove(container_leftovers.of_network(self._network_name))
            message = b"done"
        finally:
            if self._network is not None:
                self._network._docker.client.close()  # noqa: SLF001
                self._network = None
            reaper.communicate(message)
