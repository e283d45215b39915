"""Processes of the runtime as they run in a cluster, on a queue of a test."""

import os
from dataclasses import dataclass
from pathlib import Path

from runtime.__main__ import main
from runtime.contract.value import Value
from runtime.tests.forks import Forked, forked


@dataclass(frozen=True, slots=True)
class Started:
    """A process and the file into which it logs."""

    process: Forked
    log: Path

    async def kill(self) -> None:
        """It is gone afterwards, also if it was paused."""
        if self.process.returncode is None:
            self.process.kill()
            await self.process.wait()


async def start(folder: Path, name: str, *words: str, config: Value, port: int = 0) -> Started:
    """Start what `python -m runtime <words>` runs; `name` tells its files from the others'."""
    path, log = folder / f"{name}.json", folder / f"{name}.log"
    path.write_bytes(config.encode())
    settings = {
        "K8GENTAI_CONFIG": str(path),
        "K8GENTAI_HOST": "127.0.0.1",
        "K8GENTAI_HEALTH_PORT": str(port),
        "K8GENTAI_TERMINATION_LOG": str(folder / f"{name}.last"),
    }
    process = await forked(main, [*words], environment=os.environ | settings, log=log)
    return Started(process, log)
