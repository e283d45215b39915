"""Which Python the environments of programs are made of."""

import platform
import subprocess

from controller.local.environments import OWN, with_own_python


def test_it_is_the_one_that_runs_this() -> None:
    own = with_own_python({"HOME": "/home/ann"})
    said = subprocess.check_output([own[OWN], "--version"], text=True)
    assert said == f"Python {platform.python_version()}\n"
    assert own["HOME"] == "/home/ann"


def test_one_that_is_named_stays() -> None:
    named = {OWN: "/opt/python/bin/python3.13"}
    assert with_own_python(named) == named
