from collections.abc import Iterator
from pathlib import Path

import pytest

from runtime.tests.https import HttpsServer, running_https


@pytest.fixture
def https_server(tmp_path: Path) -> Iterator[HttpsServer]:
    with running_https(tmp_path) as server:
        yield server
