"""A graph of the user's own that comes in an image of the user's own."""

import subprocess
from pathlib import Path

import pytest

from e2e.conftest import Shared, Start
from e2e.kubectl import Namespace
from e2e.manifests import agent

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(240)]

IMAGE = "localhost/k8gentai/own-shouting:test"
DOCKERFILE = """
FROM localhost/k8gentai/worker-langgraph:dev
COPY shouting.py /app/
ENV PYTHONPATH=/app
"""
SHOUTING = """
from langgraph.graph import START, MessagesState, StateGraph


def shout(state: MessagesState) -> dict:
    return {"messages": [("ai", state["messages"][-1].content.upper())]}


graph = StateGraph(MessagesState)
graph.add_node("shout", shout)
graph.add_edge(START, "shout")
"""


@pytest.fixture
def image(tmp_path: Path) -> str:
    (tmp_path / "Dockerfile").write_text(DOCKERFILE)
    (tmp_path / "shouting.py").write_text(SHOUTING)
    subprocess.run(["hack/images/own.sh", str(tmp_path), IMAGE], check=True)
    return IMAGE


async def test_a_graph_in_an_image_of_the_user_s_own_runs_unchanged(
    namespace: Namespace, shared: Shared, started: Start, image: str
) -> None:
    module = {"entrypoint": "shouting:graph", "image": image}
    model = started(namespace, agent("shouting", shared.stack, source={"module": module}))

    answer = await shared.asking.ask(model, "hear me")

    assert answer.output_text == "HEAR ME"
    assert namespace.get("agent/shouting")["status"]["image"] == image
