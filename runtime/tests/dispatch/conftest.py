from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from runtime.tests.dispatch.scene import Scene, memory_scene, nats_scene


@pytest.fixture(params=["memory", pytest.param("nats", marks=pytest.mark.integration)])
async def scene(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Scene]:
    """The same scene in memory and on a real server."""
    async with memory_scene() if request.param == "memory" else nats_scene(tmp_path) as made:
        yield made
