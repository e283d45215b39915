import pytest

from controller.tests.reconcile.scene import Scene


@pytest.fixture
def scene() -> Scene:
    return Scene()
