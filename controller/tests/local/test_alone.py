"""Platforms that a test starts for itself: one question, and a queue that outlives its platform."""

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
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


def patient(name: str, more: str = "{}") -> str:
    """An agent whose tasks may wait for as long as two platforms take to start."""
    return declarative(name, more=more).replace("timeoutSeconds: 60", "timeoutSeconds: 600")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the quickstart's Stack and an agent without workers."""
    made = tmp_path / "manifests"
    made.mkdir()
    (made / "stack.yaml").write_text((QUICKSTART / "stack.yaml").read_text())
    (made / "later.yaml").write_text(patient("later", more="{replicas: 0}"))
    return made


def test_who_is_stopped_early_does_not_say_that_it_is_ready(folder: Path, tmp_path: Path) -> None:
    log = tmp_path / "early.log"
    with log.open("w") as screen:
        early = subprocess.Popen(
            [sys.executable, "-m", "controller.cli", "up", "-f", str(folder), "--port", "0"],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=screen,
            stderr=screen,
        )
    while "stand-in" not in log.read_text():
        time.sleep(0.02)
    early.send_signal(signal.SIGINT)
    assert early.wait(30) == 0
    assert "everything is stopped" in log.read_text()
    assert "ready http" not in log.read_text()


NOBODY = """
apiVersion: k8gentai.dev/v1alpha1
kind: Tool
metadata: {name: words}
spec:
  stackRef: {name: default}
  mcp: {url: "http://127.0.0.1:9/mcp"}
"""


def test_what_is_broken_hides_neither_the_address_nor_itself(folder: Path, tmp_path: Path) -> None:
    (folder / "words.yaml").write_text(NOBODY)
    with running(folder, tmp_path, until="serving") as up:
        up.until_said(r"try: curl -N http://\S+ .*later")
        line = up.until_said(r"· .*Tool words.*  DependencyNotReady: .*", 90)
        assert "http://127.0.0.1:9/mcp" in line
        assert "ready http" not in up.said


@pytest.mark.parametrize("port", ["99999", "-1", "http"])
def test_what_is_no_port_is_refused(folder: Path, port: str) -> None:
    command = [sys.executable, "-m", "controller.cli", "up", "-f", str(folder), f"--port={port}"]
    refused = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=30
    )
    assert refused.returncode == 2
    assert "is no port; choose one from 0 to 65535" in refused.stderr


def test_accepted_work_outlives_the_platform(folder: Path, tmp_path: Path) -> None:
    def client(up: Platform) -> openai.OpenAI:
        return openai.OpenAI(base_url=f"{up.url}/v1", api_key="none", max_retries=0)

    with running(folder, tmp_path) as up, client(up) as asking:
        response = in_background(asking, "later", "Repeat after me: heliotrope")
    (folder / "later.yaml").write_text(patient("later"))
    with running(folder, tmp_path) as up, client(up) as asking:
        assert "heliotrope" in ended(asking, response).output_text
