from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from runtime.tests.https import HttpsServer, running_https
from runtime.tests.trust.token_scene import Scene, token_scene


@pytest.fixture
def https_server(tmp_path: Path) -> Iterator[HttpsServer]:
    with running_https(tmp_path) as server:
        yield server


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def scene(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Scene]:
    async with token_scene(tmp_path_factory.mktemp("tokens")) as scene:
        yield scene
