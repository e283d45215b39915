"""Which Python the scripts take, on machines that differ in what they have."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "python.sh"
REAL = os.path.realpath(sys.executable)
TOO_OLD = "#!/bin/sh\nexit 1\n"
NOT_RUNNING = "#!/bin/sh\necho 'pyenv: python3.12: command not found' >&2\nexit 127\n"
FITS = f'#!/bin/sh\nexec {REAL} "$@"\n'


def program(place: Path, text: str) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(text)
    place.chmod(0o755)


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """A machine with a shell and nothing else."""
    (tmp_path / "bin").mkdir()
    for name in ("bash", "env", "sh"):
        (tmp_path / "bin" / name).symlink_to(shutil.which(name) or "")
    return tmp_path


def found(machine: Path, **environment: str) -> str | None:
    known = {"PATH": str(machine / "bin"), "HOME": str(machine)}
    done = subprocess.run(
        [SCRIPT], env=known | environment, capture_output=True, text=True, check=False
    )
    return done.stdout.strip() if done.returncode == 0 else None


@pytest.mark.parametrize("name", ["python3", "python3.12", "python3.13"])
def test_one_on_path_is_taken(machine: Path, name: str) -> None:
    program(machine / "bin" / name, FITS)
    assert found(machine) is not None


def test_one_of_pyenv_s_versions_is_taken_past_its_shims(machine: Path) -> None:
    program(machine / "bin" / "python3", TOO_OLD)
    program(machine / "bin" / "python3.12", NOT_RUNNING)
    program(machine / ".pyenv" / "versions" / "3.11.9" / "bin" / "python3", FITS)
    assert found(machine) is None
    program(machine / ".pyenv" / "versions" / "3.12.1" / "bin" / "python3", FITS)
    assert found(machine) is not None


def test_pyenv_may_be_elsewhere(machine: Path) -> None:
    program(machine / "opt" / "versions" / "3.13.0" / "bin" / "python3", FITS)
    assert found(machine) is None
    assert found(machine, PYENV_ROOT=str(machine / "opt")) is not None


def test_the_named_one_comes_first(machine: Path) -> None:
    program(machine / "bin" / "python3", TOO_OLD)
    program(machine / "mine", FITS)
    assert found(machine, K8GENTAI_PYTHON=str(machine / "mine")) is not None


def test_a_named_one_that_does_not_fit_is_not_passed_over(machine: Path) -> None:
    program(machine / "bin" / "python3", FITS)
    program(machine / "mine", TOO_OLD)
    known = {"PATH": str(machine / "bin"), "HOME": str(machine)}
    done = subprocess.run(
        [SCRIPT],
        env=known | {"K8GENTAI_PYTHON": str(machine / "mine")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "K8GENTAI_PYTHON" in done.stderr


def test_without_any_nothing_is_printed(machine: Path) -> None:
    program(machine / "bin" / "python3", TOO_OLD)
    assert found(machine) is None
