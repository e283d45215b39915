"""What is under way when `up` is stopped: it ends, or goes on later, and its client is told."""

import contextlib
import json
import signal
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import httpx
import openai
import pytest

from controller.api.names import Component, Kind
from controller.local.stopping import TURNS, waiting_for
from controller.model import Key
from controller.tests.local.platform import ROOT, Platform, running
from controller.tests.local.test_up import ended, in_background, module

STACK = ROOT / "config" / "samples" / "quickstart" / "stack.yaml"
SLOW = """
import asyncio, pathlib
from langgraph.graph import END, START, MessagesState, StateGraph

def graph(platform):
    async def think(state):
        begun, until = map(pathlib.Path, state["messages"][-1].content.split())
        begun.touch()
        while not until.exists():
            await asyncio.sleep(0.05)
        return {"messages": [await platform.model.ainvoke("Repeat after me: heliotrope")]}

    made = StateGraph(MessagesState)
    made.add_node("think", think)
    made.add_edge(START, "think")
    made.add_edge("think", END)
    return made
"""
MATH, WRITER = (Key(Kind.AGENT, "default", name) for name in ("math", "writer"))


@pytest.mark.parametrize(
    ("left", "words"),
    [
        ({}, ""),
        ({MATH: 0}, ""),
        ({MATH: 1, WRITER: 0}, "waiting for 1 run of math"),
        ({MATH: 2, WRITER: 1}, "waiting for 2 runs of math, 1 run of writer"),
    ],
)
def test_it_is_told_whose_runs_are_waited_for(left: dict[Key, int], words: str) -> None:
    assert waiting_for(left) == words


def test_whoever_works_stops_before_what_the_work_needs() -> None:
    turns = [
        next(place for place, turn in enumerate(TURNS) if turn.has(component))
        for component in (
            Component.WORKER,
            Component.TOOL_WORKER,
            Component.DISPATCHER,
            Component.SERVER,
            "model",
        )
    ]
    assert turns == sorted(set(turns))
    assert all(
        TURNS[-1].has(one) and not any(turn.has(one) for turn in TURNS[:-1])
        for one in (Component.MESSAGING, Component.TRUST, "model")
    )
    assert sum(turn.seconds for turn in TURNS) <= 30


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "manifests"
    made.mkdir()
    (made / "stack.yaml").write_text(STACK.read_text())
    agent = module("slow", SLOW).replace("ackWaitSeconds: 2", "timeoutSeconds: 300")
    (made / "slow.yaml").write_text(agent)
    return made


class Asking:
    """A client whose runs are under way in a worker when the platform is stopped."""

    def __init__(self, up: Platform, pool: ThreadPoolExecutor, place: Path) -> None:
        self.up, self._pool, self._place = up, pool, place

    def ask(self, name: str, until: Path, **more: object) -> Future[httpx.Response]:
        """Ask, and wait until the run is under way."""
        begun = self._place / name
        body = {"model": "slow", "input": f"{begun} {until}", **more}
        url = f"{self.up.url}/v1/responses"
        asked = self._pool.submit(httpx.post, url, json=body, timeout=60)
        self.up.until(begun.exists)
        return asked


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(4) as made:
        yield made


@pytest.mark.integration
@pytest.mark.timeout(200)
def test_what_ends_in_time_is_answered(
    folder: Path, tmp_path: Path, pool: ThreadPoolExecutor
) -> None:
    """Its model is asked when the stop is under way, by way of a server that has to be there."""
    go = tmp_path / "go"
    with running(folder, tmp_path) as up:
        answer = Asking(up, pool, tmp_path).ask("begun", go)
        up.process.send_signal(signal.SIGINT)
        up.until_said("stopping: waiting for 1 run of slow")
        go.touch()
        response = answer.result(30)
    assert (response.status_code, response.json()["status"]) == (200, "completed")
    assert "heliotrope" in response.text


@pytest.mark.integration
@pytest.mark.timeout(300)
def test_what_does_not_is_told_and_goes_on_later(
    folder: Path, tmp_path: Path, pool: ThreadPoolExecutor
) -> None:
    go = tmp_path / "go"
    with running(folder, tmp_path) as up:
        asking = Asking(up, pool, tmp_path)
        plain, streamed = asking.ask("plain", go), asking.ask("streamed", go, stream=True)
        up.process.send_signal(signal.SIGINT)
        refused, stream = plain.result(60), streamed.result(60)
    assert refused.status_code == 503
    assert int(refused.headers["retry-after"]) > 0
    error = refused.json()["error"]
    assert error["code"] == "server_stopping"
    first, *_, last = [
        json.loads(one[6:]) for one in stream.text.splitlines() if one[:6] == "data: "
    ]
    assert (last["type"], last["code"]) == ("error", "server_stopping")
    ids = [error["message"].split("resp_")[1][:32], first["response"]["id"].removeprefix("resp_")]
    assert ids[1] in last["message"]
    go.touch()
    with (
        running(folder, tmp_path) as up,
        openai.OpenAI(base_url=f"{up.url}/v1", api_key="none", max_retries=0) as client,
    ):
        assert all("heliotrope" in ended(client, f"resp_{one}").output_text for one in ids)


@pytest.mark.integration
@pytest.mark.timeout(200)
def test_a_server_that_is_started_again_costs_no_run(folder: Path, tmp_path: Path) -> None:
    """Models are asked by way of it, and for some seconds it takes no connections."""
    with (folder / "slow.yaml").open("a") as agent:
        agent.write("  retryPolicy: {maxAttempts: 1}\n")
    begun, go = tmp_path / "begun", tmp_path / "go"
    with (
        running(folder, tmp_path) as up,
        openai.OpenAI(base_url=f"{up.url}/v1", api_key="none", max_retries=0) as client,
    ):
        response = in_background(client, "slow", f"{begun} {go}")
        up.until(begun.exists)
        up.kill("runtime serve stack/")
        begun.unlink()
        go.touch()
        up.until(begun.exists)  # it was handed back, and is tried again

        def is_serving() -> bool:
            with contextlib.suppress(httpx.TransportError):
                return httpx.get(f"{up.url}/v1/models").is_success
            return False

        up.until(is_serving)
        assert "heliotrope" in ended(client, response).output_text
