"""The model's modules lie beside its server; random values print the seed that made them."""

import os
import random
import sys
from pathlib import Path

import pytest

sys.path[:0] = [str(Path(__file__).parents[2] / "model"), str(Path(__file__).parent)]


@pytest.fixture
def rng() -> random.Random:
    seed = int(os.environ.get("SEED", random.SystemRandom().randrange(2**32)))
    print(f"SEED={seed}")
    return random.Random(seed)
