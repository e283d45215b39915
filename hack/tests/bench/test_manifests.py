import importlib
from pathlib import Path
from typing import Any

import manifests
import pytest
import yaml

from controller.api.agent import Agent
from controller.api.stack import Stack


def documents() -> dict[str, dict[str, Any]]:
    return {name: yaml.safe_load(text) for name, text in manifests.texts().items()}


@pytest.mark.parametrize(("name", "kind"), [("stack.yaml", Stack), ("agent.yaml", Agent)])
def test_the_platform_accepts_them(name: str, kind: type[Stack | Agent]) -> None:
    text = documents()[name]
    text["metadata"].update({"namespace": "default", "uid": "1"})

    assert kind.model_validate(text).metadata.name == "bench"


def test_the_platform_accepts_them_with_several_servers() -> None:
    written = manifests.replicated("postgresql://u:p@h:5432/d", 1024)
    found = {name: yaml.safe_load(text) for name, text in written.items()}
    for name in ("stack.yaml", "agent.yaml"):
        found[name]["metadata"].update({"namespace": "default", "uid": "1"})

    assert Stack.model_validate(found["stack.yaml"]).spec.server.replicas == manifests.SERVERS
    spec = Agent.model_validate(found["agent.yaml"]).spec
    assert (spec.replicas or 0) * spec.execution.concurrency == 1024


def test_the_agent_is_the_module_beside_them() -> None:
    all_ = documents()
    module = all_["agent.yaml"]["spec"]["source"]["module"]
    name, attribute = module["entrypoint"].split(":")
    data = all_["config_map.yaml"]["data"]

    assert all_["config_map.yaml"]["metadata"]["name"] == module["configMapRef"]["name"]
    assert data == {f"{name}.py": (manifests.HERE / f"{name}.py").read_text()}
    assert hasattr(importlib.import_module(name), attribute)


def test_they_are_written_as_files(tmp_path: Path) -> None:
    manifests.write(tmp_path, manifests.texts())

    written = {path.name: path.read_text() for path in tmp_path.iterdir()}
    assert written == manifests.texts()
    assert set(written) == {"agent.yaml", "config_map.yaml", "stack.yaml"}
