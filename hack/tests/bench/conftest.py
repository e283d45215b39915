"""The modules of the benchmark lie beside its `run.py`."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[2] / "bench"))
