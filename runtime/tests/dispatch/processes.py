"""Processes of the runtime as they run in a cluster, on a queue of a test."""

import asyncio
import os
import sys
from dataclasses import dataclass
from pathlib import Path

from runtime.contract.value import Value


@dataclass(frozen=True, slots=True)
class Started:
    """A process and the file into which it logs."""

    process: asyncio.subprocess.Process
    log: Path

    async def kill(self) -> None:
        """It is gone afterwards, also if it was paused."""
        if self.process.returncode is None:
            self.process.kill()
            await self.process.wait()


async def start(folder: Path, name: str, *words: str, config: Value, port: int = 0) -> Started:
    """Start `python -m runtime <words>`; `name` tells its files from those of the others."""
    path, log = folder / f"{name}.json", folder / f"{name}.log"
    path.write_bytes(config.encode())
    settings = {
        "K8GENTAI_CONFIG": str(path),
        "K8GENTAI_HOST": "127.0.0.1",
        "K8GENTAI_HEALTH_PORT": str(port),
        "K8GENTAI_TERMINATION_LOG": str(folder / f"{name}.last"),
    }
    with log.open("ab") as stream:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "runtime", *words), stderr=stream, env=os.environ | settings
        )
    return Started(process, log)
