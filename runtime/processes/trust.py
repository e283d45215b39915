"""The trust plane: everything put together."""

import asyncio
import contextlib
from pathlib import Path

from runtime import health
from runtime.processes.process import stop_signal
from runtime.settings import Settings
from runtime.trust.plane import run_trust
from runtime.trust.sources import ConfigMapSource, FileSource, Source, api_server

CONFIG_MAP = "configmap:"


async def run_trust_plane(settings: Settings) -> None:
    """Answer the auth callouts and requests for tokens of every Stack until asked to stop."""
    stopping = stop_signal()
    why: list[str | None] = ["starting"]

    def on_ready(is_ready: bool, sentence: str) -> None:  # noqa: FBT001 - the plane's own shape
        why[0] = None if is_ready else sentence

    serve = health.server(settings.host, settings.health_port, lambda: why[0])
    told = source(str(settings.config))
    tasks = {
        asyncio.ensure_future(run_trust(told, on_ready, host=settings.host)),
        asyncio.ensure_future(serve()),
        asyncio.ensure_future(stopping.wait()),
    }
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in tasks:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def source(config: str) -> Source:
    """Where trust.json is read: a path, or `configmap:<namespace>/<name>/<key>` in a cluster.

    Raises:
        ValueError: it is neither.
    """
    if not config.startswith(CONFIG_MAP):
        return FileSource(Path(config))
    parts = config.removeprefix(CONFIG_MAP).split("/")
    if len(parts) != 3:  # noqa: PLR2004 - namespace, name, key
        raise ValueError(f"K8GENTAI_CONFIG is {config!r}; it has to name namespace/name/key")
    namespace, name, key = parts
    return ConfigMapSource(namespace, name, key, api=api_server())
