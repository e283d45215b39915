"""nats-server processes with the configuration that the operator writes for a Stack."""

import asyncio
import contextlib
import json
import signal
import sys
from dataclasses import replace
from pathlib import Path

from controller.desired.nats import Cluster, NatsServer, nats_conf
from controller.local.site import free_port
from controller.model import TrustKeys
from runtime.contract.value import ObjectName

NATS_SERVER = Path(sys.prefix) / "bin" / "nats-server"


class NatsProcess:
    """One nats-server; `start` after `kill` brings it back with its data on its port."""

    def __init__(self, folder: Path, server: NatsServer) -> None:
        self._folder = folder
        self._server = server
        self._process: asyncio.subprocess.Process | None = None
        self._port = free_port()

    @property
    def port(self) -> int:
        """Where it listens."""
        return self._port

    @property
    def url(self) -> str:
        """Where clients connect to."""
        return f"nats://127.0.0.1:{self._port}"

    async def start(self) -> None:
        """Start it and wait until it takes connections."""
        config = self._folder / "nats.conf"
        config.write_text(nats_conf(replace(self._server, port=self._port)))
        with (self._folder / "nats.log").open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                NATS_SERVER, "-c", config, "--ports_file_dir", self._folder, stderr=log
            )
        await self._until_ready(self._process)

    async def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        """End it, gently or not."""
        process, self._process = self._process, None
        if process is not None and process.returncode is None:
            process.send_signal(how)
            await process.wait()

    async def _until_ready(self, process: asyncio.subprocess.Process) -> None:
        ports = self._folder / f"nats-server_{process.pid}.ports"
        async with asyncio.timeout(20):
            while True:
                if process.returncode is not None:
                    raise RuntimeError((self._folder / "nats.log").read_text())
                with contextlib.suppress(OSError, ValueError):
                    url = json.loads(ports.read_text())["nats"][0]
                    self._port = int(url.rpartition(":")[2])
                    return
                await asyncio.sleep(0.01)


def nats_servers(
    stack: ObjectName, folder: Path, keys: TrustKeys, replicas: int
) -> tuple[NatsProcess, ...]:
    """The servers of a Stack, not started yet."""
    ports = [free_port() for _ in range(replicas)]
    routes = tuple(f"nats://127.0.0.1:{port}" for port in ports)
    servers = []
    for number, port in enumerate(ports):
        place = folder / f"nats-{number}"
        place.mkdir()
        conf = NatsServer(
            stack=stack,
            issuer=keys.account,
            trust_user=keys.user,
            xkey=keys.xkey,
            store_dir=str(place / "jetstream"),
            name=f"nats-{stack.name}-{number}",
            host="127.0.0.1",
            monitor_port=0,
            sync_interval="2m",
            cluster=Cluster(name=str(stack), routes=routes, port=port) if replicas > 1 else None,
        )
        servers.append(NatsProcess(place, conf))
    return tuple(servers)
