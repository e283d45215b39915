"""The Python environment of each program: made from the lock at its first use, then kept."""

import asyncio
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from controller.model import Image

ROOT: Final = Path(__file__).parents[2]
"""The checkout: embedded mode runs the code that lies beside it."""
OWN: Final = "K8GENTAI_PYTHON"
EXTRAS: Final = {
    Image.SERVER: ("amf",),
    Image.SERVER_OGX: ("ogx",),
    Image.RUNTIME: ("tools", "trust"),
    Image.WORKER_LANGGRAPH: ("langgraph",),
    Image.WORKER_LLAMA_STACK: ("llama-stack",),
    Image.WORKER_CREWAI: ("crewai",),
    Image.WORKER_AG2: ("ag2",),
    Image.WORKER_BEEAI: ("beeai",),
}

type Say = Callable[[str], None]


class NoEnvironment(Exception):
    """An environment could not be made; the message says what is missing."""


class Environments:
    """The environments of this machine; each is made once, however many ask."""

    def __init__(self, say: Say) -> None:
        self._say = say
        self._making: dict[Image, asyncio.Task[str]] = {}

    async def python(self, image: Image) -> str:
        """The interpreter that has what `image` has in a cluster.

        Raises:
            NoEnvironment: it could not be made.
        """
        if image not in self._making:
            self._making[image] = asyncio.create_task(self._make(image))
        return await asyncio.shield(self._making[image])

    async def _make(self, image: Image) -> str:
        process = await asyncio.create_subprocess_exec(
            ROOT / "hack" / "env.sh",
            image,
            *EXTRAS[image],
            env=with_own_python(os.environ),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = await process.communicate()
        words = err.decode().strip()
        if process.returncode != 0:
            raise NoEnvironment(f"the environment of {image} could not be made: {words}")
        if words:
            self._say(f"made the environment of {image}")
        return out.decode().strip()


def with_own_python(environment: Mapping[str, str]) -> dict[str, str]:
    """`environment`, naming the Python that runs this if it names none.

    To look for one, hack/python.sh starts whatever is called so, which takes longer than all else.
    """
    own = Path(sys.base_prefix, "bin", f"python{sys.version_info.major}.{sys.version_info.minor}")
    return ({OWN: str(own)} if own.exists() else {}) | dict(environment)
