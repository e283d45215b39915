"""What a worker costs beside the bare framework: the page, and one framework for real."""

import subprocess
import sys
from pathlib import Path

import images
import pytest
from figures import Pair
from starts import IMPORTS, Start

from controller.desired.agent import IMAGE_BY_FRAMEWORK

SCRIPT = Path(__file__).parents[2] / "bench" / "images.py"


def start(seconds: float, memory: float = 50) -> Start:
    return Start(seconds, seconds / 2, memory)


def test_every_framework_with_an_image_is_measured() -> None:
    assert set(map(str, IMPORTS)) == set(map(str, IMAGE_BY_FRAMEWORK))


@pytest.mark.parametrize(
    ("cold", "idle", "met"),
    [
        pytest.param(1.5, 90, (True, True), id="just within"),
        pytest.param(1.51, 90, (False, True), id="slow"),
        pytest.param(1.5, 90.1, (True, False), id="large"),
    ],
)
def test_the_limits_are_for_the_difference(
    cold: float, idle: float, met: tuple[bool, bool]
) -> None:
    rounds = [(start(1, 50), start(1.2), start(9, idle), start(cold))]
    found = images.figures("AG2", rounds, Pair(70, 90))
    assert (found.cold.met, found.idle.met) == met
    assert found.cpu.rounds == [Pair(0.5, cold / 2)]
    assert found.imported.rounds == [Pair(1, 1.2)]
    assert found.size.rounds == [Pair(70, 90)]


@pytest.mark.parametrize(("load", "busy"), [(0.5, False), (1000.0, True)])
def test_the_page_says_when_its_times_cannot_be_trusted(
    load: float,
    busy: bool,
) -> None:
    one = start(1, 50)
    found = images.figures("AG2", [(one, one, one, one)], Pair(70, 90))
    page = images.document([found], 1, (0.1, load))
    assert (images.BUSY in page) == busy
    assert page.count("| AG2 ") == 5


@pytest.mark.integration
@pytest.mark.timeout(300)
def test_a_worker_is_measured_beside_its_framework() -> None:
    kept = images.DOCUMENT.read_text() if images.DOCUMENT.exists() else None
    command = [sys.executable, str(SCRIPT), "LlamaStack", "--rounds", "1"]

    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=280)

    assert done.returncode == 0, done.stderr
    rows = [line.split("|") for line in done.stdout.splitlines() if "| LlamaStack" in line]
    assert len(rows) == 5
    for row in rows:
        bare, ours = (float(cell.split()[0]) for cell in row[2:4])
        assert bare > 0.05
        assert ours > 0.05
    assert "not measured" not in done.stdout
    assert kept == (images.DOCUMENT.read_text() if images.DOCUMENT.exists() else None)
