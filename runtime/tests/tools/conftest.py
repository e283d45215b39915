"""A folder with a user's code, as a ConfigMap gives it."""

import itertools
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from runtime.contract.agent_config import Module

type Written = Callable[..., Module]

NUMBERS = itertools.count()


@pytest.fixture
def written(tmp_path: Path) -> Iterator[Written]:
    """Write a module under a name no other test uses; gives the entrypoint to `attribute`."""
    before = list(sys.path)

    def write(source: str, attribute: str = "run") -> Module:
        name = f"users_{next(NUMBERS)}"
        (tmp_path / f"{name}.py").write_text(textwrap.dedent(source))
        return Module(entrypoint=f"{name}:{attribute}", path=str(tmp_path))

    yield write
    sys.path[:] = before
