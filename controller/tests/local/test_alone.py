"""Platforms that a test starts for itself: one question, and a queue that outlives its platform."""

import contextlib
import os
import re
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import openai
import pytest

from controller.tests.local.platform import ROOT, Platform, running
from controller.tests.local.test_up import declarative, ended, in_background

pytestmark = pytest.mark.integration

QUICKSTART = ROOT / "config" / "samples" / "quickstart"


def test_one_question_is_answered_and_nothing_is_left_running() -> None:
    command = [sys.executable, "-m", "controller.cli", "up", "-f", str(QUICKSTART), "--port", "0"]
    mark = uuid.uuid4().hex
    asked = subprocess.run(
        [*command, "--ask", ""],
        cwd=ROOT,
        env=os.environ | {"MARK": mark},  # whatever it starts inherits it
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=110,
    )
    said = asked.stdout
    assert asked.returncode == 0, said
    first, second = map(int, re.findall(r"What is (\d+) \+ (\d+)\?", said)[0])
    assert f"→ {first + second}]" in said
    assert f"The answer is {first + second}." in said
    assert "everything is stopped" in said
    assert not list(marked(mark)), said


def marked(mark: str) -> Iterator[Path]:
    """The processes that run with this in their environment."""
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if mark in (process / "environ").read_text(errors="replace"):
                yield process


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the quickstart's Stack and an agent without workers."""
    made = tmp_path / "manifests"
    made.mkdir()
    (made / "stack.yaml").write_text((QUICKSTART / "stack.yaml").read_text())
    (made / "later.yaml").write_text(declarative("later", more="{replicas: 0}"))
    return made


def test_accepted_work_outlives_the_platform(folder: Path, tmp_path: Path) -> None:
    def client(up: Platform) -> openai.OpenAI:
        return openai.OpenAI(base_url=f"{up.url}/v1", api_key="none", max_retries=0)

    with running(folder, tmp_path) as up, client(up) as asking:
        response = in_background(asking, "later", "Repeat after me: heliotrope")
    (folder / "later.yaml").write_text(declarative("later"))
    with running(folder, tmp_path) as up, client(up) as asking:
        assert "heliotrope" in ended(asking, response).output_text
