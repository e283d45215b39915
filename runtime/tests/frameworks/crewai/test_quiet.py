"""CrewAI in a worker: a root file system that nobody may write, and nobody to tell or ask."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[4]
SCRIPT = """
import asyncio
import atexit
import gc
import json
import os
import sys

seen = {"written": [], "asked": []}

@atexit.register  # the first one is called last: telemetry would be sent at the end
def show():
    print(json.dumps(seen), file=sys.stderr)

def hear(event, arguments):
    if event == "open" and arguments[2] & (os.O_WRONLY | os.O_RDWR):
        seen["written"].append(str(arguments[0]))
    elif event in ("os.mkdir", "os.rename"):
        seen["written"].append(str(arguments[0]))
    elif event == "socket.connect":
        seen["asked"].append(str(arguments[1]))
    elif event == "socket.getaddrinfo":
        seen["asked"].append(str(arguments[0]))

sys.addaudithook(hear)

from runtime.adapters.crewai import build
from runtime.contract.agent_config import AgentConfig, Framework, Model, Module
from runtime.tests.agents import MATH, QUEUE, asking, steps_of

async def main(url):
    os.environ |= {"OPENAI_BASE_URL": url, "OPENAI_API_KEY": "unused"}
    config = AgentConfig(
        agent=MATH, queue=QUEUE, durable="math-1", framework=Framework.CREWAI,
        module=Module(entrypoint="users:crew", path=sys.argv[2]),
        model=Model(id="stand-in", base_url=url),
    )
    adapter = await build(config, ())
    await asyncio.gather(*(steps_of(adapter, asking("Say walrus")) for _ in range(2)))

from crewai import Crew
asyncio.run(main(sys.argv[1]))
gc.collect()
seen["kept"] = sum(isinstance(one, Crew) for one in gc.get_objects())
"""
CREW = """
from crewai import Agent, Crew, Flow, Task
from crewai.flow.flow import start

one = Agent(role="One", goal="Do it", backstory="You can.", verbose=True)
tasks = [Task(description="{input}", expected_output="words", agent=one)]
crew = Crew(agents=[one], tasks=tasks, verbose=True)

class Other(Flow):
    @start()
    def go(self):
        return "CrewAI notes that there is a flow, and from then on everything that happens"

other = Other()
"""


@pytest.mark.integration
def test_runs_leave_nothing_behind_and_tell_nobody(model_url: str, tmp_path: Path) -> None:
    folders = {name: tmp_path / name for name in ("here", "temporary", "users")}
    for folder in folders.values():
        folder.mkdir()
    (folders["users"] / "users.py").write_text(CREW)
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(ROOT),
        "PYTHONDONTWRITEBYTECODE": "1",
        "HOME": str(folders["temporary"]),  # as in our images
        "TMPDIR": str(folders["temporary"]),
    }
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, model_url, str(folders["users"])],
        cwd=folders["here"],
        env=environment,
        capture_output=True,
        stdin=subprocess.DEVNULL,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    assert done.stdout == b""
    seen = json.loads(done.stderr.splitlines()[-1])
    allowed = (str(folders["temporary"]), "/dev/null")
    assert [path for path in seen["written"] if not path.startswith(allowed)] == []
    assert {host for host in seen["asked"] if "127.0.0.1" not in host} == set()
    assert list(folders["here"].iterdir()) == []
    assert not (folders["temporary"] / ".local" / "share" / "here").exists()
    assert seen["kept"] == 1
