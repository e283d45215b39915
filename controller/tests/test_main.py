"""What the operator says when it cannot even begin."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from controller.tests.test_settings import LEAST

BAD_CONFIGURATION = 78


def started(environment: dict[str, str], home: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "controller"]
    ports = {"K8GENTAI_METRICS_PORT": "0", "K8GENTAI_HEALTH_PORT": "0"}
    kept = {"PATH": os.environ["PATH"], "HOME": str(home)}
    return subprocess.run(
        command, env=kept | ports | environment, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize(
    ("environment", "sentence"),
    [
        pytest.param({}, "K8GENTAI_NAMESPACE is not set", id="no settings"),
        pytest.param(LEAST, "there is no cluster to speak to", id="no cluster"),
    ],
)
def test_it_names_what_is_missing(
    environment: dict[str, str], sentence: str, tmp_path: Path
) -> None:
    done = started(environment, tmp_path)

    assert done.returncode == BAD_CONFIGURATION
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr
