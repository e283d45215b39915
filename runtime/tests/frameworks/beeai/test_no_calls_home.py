"""Whom a worker of a BeeAI agent talks to: its model and nobody else."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[4]
LISTENING = """
import asyncio, sys

met = set()

def audit(event, arguments):
    if event == "socket.getaddrinfo":
        met.add(str(arguments[0]))
    elif event == "socket.connect" and isinstance(arguments[1], tuple):
        met.add(str(arguments[1][0]))

sys.addaudithook(audit)

import runtime.adapters.beeai
import litellm  # before BeeAI does, as a user's own code may

from runtime.adapters.registry import build
from runtime.contract.agent_config import AgentConfig, Declarative, Framework, Model
from runtime.tests.agents import MATH, QUEUE, SPEC, asking, function, steps_of

config = AgentConfig(agent=MATH, queue=QUEUE, durable="d", framework=Framework.BEEAI,
                     model=Model(id="stand-in", base_url=sys.argv[1]),
                     declarative=Declarative(instructions="You do sums."))

async def main():
    adapter = await build(config, (SPEC,))
    await steps_of(adapter, asking("2 + 3?", function(), stream=True))

asyncio.run(main())
print(*sorted(met))
"""


def test_a_worker_talks_to_its_model_alone(model_url: str) -> None:
    kept = {name: value for name, value in os.environ.items() if "LITELLM" not in name}
    ended = subprocess.run(
        [sys.executable, "-c", LISTENING, model_url],
        cwd=ROOT,
        env=kept,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.stdout.split() == ["127.0.0.1"], ended.stderr
