from typing import Any

import pytest

from controller.model import Container, EntryRef, Pod
from controller.tests import samples
from controller.tests.reconcile.scene import Scene, is_true, running, told
from runtime.contract.agent_config import ToolConfig
from runtime.contract.catalogue import FunctionSpec, ToolEntry, ToolFunctions
from runtime.contract.value import ObjectName

NAME = ObjectName(namespace="team", name="add")
FUNCTIONS = EntryRef("team_default_catalogue", "functions.team.add")
ADD = FunctionSpec(name="add", description="Adds.", input_schema={"type": "object"})
SUB = FunctionSpec(name="sub", description="Subtracts.", input_schema={"type": "object"})


def config_of(scene: Scene) -> ToolConfig:
    return ToolConfig.decode(scene.cluster.child("ConfigMap", "tool-add")["data"]["tool.json"])


def entry_of(scene: Scene) -> ToolEntry:
    ref = EntryRef("team_default_catalogue", "tools.team.add")
    return ToolEntry.decode(scene.queue.entries[ref])


def discovers(
    scene: Scene,
    *functions: FunctionSpec,
    revision: str | None = None,
    problem: str | None = None,
) -> None:
    """What the tool's worker does when it starts."""
    found = ToolFunctions(
        tool=NAME,
        revision=revision or config_of(scene).revision,
        digest="sha256:1",
        functions=functions,
        problem=problem,
    )
    scene.queue.entries[FUNCTIONS] = found.encode()


async def test_from_apply_to_ready(scene: Scene) -> None:
    _, tool, _ = await running(scene)

    assert told(scene, tool, "Ready") == ("True", "Ready", "1 of 1 worker ready")
    pod = scene.cluster.child("Deployment", "tool-add")["spec"]["template"]["spec"]
    assert pod["containers"][0]["image"] == "localhost/k8gentai/runtime:dev"
    assert pod["volumes"][-1] == {"name": "source", "configMap": {"name": "arithmetic"}}


async def test_discovered_functions_come_into_status_and_catalogue(scene: Scene) -> None:
    _, tool, _ = await running(scene)
    progress = await scene.reconcile(tool)
    assert progress.again_in is not None  # what a worker writes there wakes nobody

    discovers(scene, ADD)
    progress = await scene.reconcile(tool)

    status = scene.cluster.objects[tool]["status"]
    assert status["toolCount"] == 1
    assert status["tools"][0]["name"] == "add"
    assert status["tools"][0]["schemaDigest"].startswith("sha256:")
    entry = entry_of(scene)
    assert (entry.functions, entry.ready) == ((ADD,), True)
    assert (entry.reason, entry.message) == ("Ready", "1 of 1 worker ready")
    assert progress.again_in is None


async def test_what_its_pods_say_is_in_its_status_and_not_in_the_catalogue(scene: Scene) -> None:
    _, tool, _ = await running(scene)
    deployment = scene.cluster.child("Deployment", "tool-add")
    deployment["status"]["readyReplicas"] = 0
    refused = Container(name="worker", ready=False, waiting="ErrImagePull", message="401 of a.b")
    revision = config_of(scene).revision
    pod = Pod(name="add-0", component="tool-worker", revision=revision, containers=(refused,))
    scene.cluster.running[tool] = (pod,)

    await scene.reconcile(tool)

    assert told(scene, tool, "Ready")[2] == "worker cannot start: 401 of a.b"
    entry = entry_of(scene)
    assert (entry.ready, entry.reason) == (False, "DependencyNotReady")
    assert entry.message == (
        "worker cannot start (ErrImagePull); the status of Tool team/add says why"
    )


async def test_what_its_worker_found_out_is_told_to_clients(scene: Scene) -> None:
    _, tool, _ = await running(scene)
    scene.cluster.child("Deployment", "tool-add")["status"]["readyReplicas"] = 0
    discovers(scene, problem="the MCP server at http://mcp cannot be used: it answers 404")

    await scene.reconcile(tool)

    entry = entry_of(scene)
    assert (entry.ready, entry.reason) == (False, "DependencyNotReady")
    assert entry.message == "the MCP server at http://mcp cannot be used: it answers 404"
    assert told(scene, tool, "Ready") == ("False", entry.reason, entry.message)


async def test_functions_of_an_older_worker_are_not_believed(scene: Scene) -> None:
    _, tool, _ = await running(scene)
    discovers(scene, ADD, revision="of-an-older-one")

    progress = await scene.reconcile(tool)

    assert scene.cluster.objects[tool]["status"]["toolCount"] == 0
    assert progress.again_in is not None


async def test_new_code_is_a_new_revision(scene: Scene) -> None:
    _, tool, _ = await running(scene)
    before = config_of(scene).revision

    scene.cluster.config_maps["team", "arithmetic"] = {"arithmetic.py": "def add(a, b): return 0"}
    await scene.rest(tool)

    after = config_of(scene).revision
    assert after != before
    template = scene.cluster.child("Deployment", "tool-add")["spec"]["template"]
    assert template["metadata"]["annotations"] == {"k8gentai.dev/revision": after}
    assert scene.cluster.objects[tool]["status"]["revision"] == after


async def test_missing_code_is_told_with_its_field(scene: Scene) -> None:
    scene.cluster.put(samples.stack())
    tool = scene.cluster.put(samples.tool())

    await scene.reconcile(tool)

    assert told(scene, tool, "ResolvedRefs") == (
        "False",
        "RefNotFound",
        "spec.python.configMapRef: there is no ConfigMap arithmetic in namespace team; create it",
    )


async def test_an_mcp_server_runs_beside_the_worker(scene: Scene) -> None:
    workload = {"image": "example/mcp:1", "command": ["serve", "--http"], "port": 9000}
    stack = scene.cluster.put(samples.stack())
    tool = scene.cluster.put(
        samples.manifest(
            "Tool", "search", {"stackRef": {"name": "default"}, "mcp": {"workload": workload}}
        )
    )

    await scene.rest(stack, tool)

    assert is_true(scene, tool, "Ready")
    spec = scene.cluster.child("Deployment", "tool-search")["spec"]["template"]["spec"]
    worker, server = spec["containers"]
    assert (worker["name"], server["name"]) == ("worker", "mcp")
    assert (server["image"], server["command"]) == ("example/mcp:1", ["serve", "--http"])
    text = scene.cluster.child("ConfigMap", "tool-search")["data"]["tool.json"]
    config = ToolConfig.decode(text)
    assert config.mcp is not None
    assert config.mcp.url == "http://127.0.0.1:9000/mcp"


HTTP: dict[str, Any] = {"python": None, "http": {"openapi": {"configMapRef": {"name": "weather"}}}}


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (None, "there is no ConfigMap weather in namespace team; create it"),
        (
            {"a.json": "{}", "b.json": "{}"},
            "the ConfigMap weather has no key openapi.yaml, it has a.json, b.json; name it by key",
        ),
    ],
)
async def test_a_missing_document_is_told_with_its_field(
    scene: Scene, files: dict[str, str] | None, message: str
) -> None:
    scene.cluster.put(samples.stack())
    tool = scene.cluster.put(samples.tool(**HTTP))
    if files is not None:
        scene.cluster.config_maps["team", "weather"] = files

    await scene.reconcile(tool)

    said = f"spec.http.openapi.configMapRef: {message}"
    assert told(scene, tool, "ResolvedRefs") == ("False", "RefNotFound", said)


async def test_a_document_in_a_config_map_is_mounted_and_a_new_one_is_a_new_revision(
    scene: Scene,
) -> None:
    scene.cluster.config_maps["team", "weather"] = {"openapi.yaml": "openapi: 3.1.0"}
    stack = scene.cluster.put(samples.stack())
    tool = scene.cluster.put(samples.tool(**HTTP))
    await scene.rest(stack, tool)

    before = config_of(scene)
    assert is_true(scene, tool, "Ready")
    assert before.http is not None
    assert before.http.path == "/opt/k8gentai/source/openapi.yaml"
    pod = scene.cluster.child("Deployment", "tool-add")["spec"]["template"]["spec"]
    assert pod["volumes"][-1] == {"name": "source", "configMap": {"name": "weather"}}

    scene.cluster.config_maps["team", "weather"] = {"openapi.yaml": "openapi: 3.0.3"}
    await scene.rest(tool)
    assert config_of(scene).revision != before.revision


async def test_what_a_worker_cannot_offer_is_told(scene: Scene) -> None:
    await scene.rest(scene.cluster.put(samples.stack()))
    http = {"openapi": {"url": "http://weather/openapi.json"}, "operations": ["getWeather"]}
    tool = scene.cluster.put(samples.tool(python=None, http=http))
    for _ in range(3):
        await scene.reconcile(tool)
        scene.cluster.settle(ready=False)
    assert told(scene, tool, "Ready") == ("False", "Progressing", "0 of 1 worker ready")
    assert (await scene.reconcile(tool)).again_in is not None

    problem = "spec.http.openapi: the document at http://weather/openapi.json cannot be read: …"
    discovers(scene, problem=problem)
    await scene.reconcile(tool)

    assert told(scene, tool, "Ready") == ("False", "DependencyNotReady", problem)
    discovers(scene, ADD)
    await scene.rest(tool)
    assert is_true(scene, tool, "Ready")


@pytest.mark.parametrize("policy", ["Drain", "Cancel"])
async def test_a_deleted_tool_leaves_nothing_behind(scene: Scene, policy: str) -> None:
    stack, tool, agent = await running(scene)
    scene.cluster.put(samples.tool(deletionPolicy=policy))
    scene.cluster.put(samples.agent())
    discovers(scene, ADD)
    await scene.rest(stack, tool, agent)
    effect = EntryRef("team_default_effects", "team.add.team.math.task.1.0")
    scene.queue.entries[effect] = b"{}"

    scene.delete(tool)
    await scene.rest(tool)

    assert tool not in scene.cluster.objects
    assert [ref for ref in scene.cluster.owned if ref.name == "tool-add"] == []
    assert [ref for ref in scene.queue.entries if "add" in ref.key] == []
    assert [ref for ref in scene.queue.consumers if ref.durable.startswith("add-")] == []


async def test_a_tool_with_calls_waits_for_them(scene: Scene) -> None:
    _, tool, _ = await running(scene)
    subject = "k8gentai.team.default.calls.team.add.team.math"
    scene.queue.messages["team_default_CALLS"] = [subject]

    scene.delete(tool)
    progress = await scene.reconcile(tool)

    assert progress.again_in == 1.0
    assert scene.cluster.child("Deployment", "tool-add")
    message = told(scene, tool, "Ready")[2]
    assert message.startswith("it is being deleted and waits for 1 call to end, until ")
    assert message.endswith("; spec.deletionPolicy: Cancel gives up what is left at once")
    scene.queue.messages["team_default_CALLS"] = []
    await scene.rest(tool)
    assert tool not in scene.cluster.objects


async def test_functions_that_change_behind_the_spec_are_told_until_it_accepts_them(
    scene: Scene,
) -> None:
    stack, tool, agent = await running(scene)
    discovers(scene, ADD)
    await scene.rest(stack, tool, agent)
    scene.outside.cluster.events.clear()

    discovers(scene, SUB)
    await scene.rest(tool, agent)

    status = scene.cluster.objects[tool]["status"]
    reason, message = told(scene, tool, "SchemaDrifted")[1:]
    assert reason == "BreakingChange"
    assert "add was removed; sub is new" in message
    assert message.endswith(f"set spec.schemaDigest to {status['schemaDigest']}")
    events = [one for one in scene.cluster.events if one.about == tool]
    assert [(one.type, one.reason, one.message) for one in events] == [("Warning", reason, message)]
    assert is_true(scene, tool, "Ready")
    assert is_true(scene, agent, "Ready")
    revision = config_of(scene).revision

    scene.cluster.put(samples.tool(schemaDigest=status["schemaDigest"]))
    await scene.rest(tool)

    conditions = scene.cluster.objects[tool]["status"]["conditions"]
    assert "SchemaDrifted" not in {one["type"] for one in conditions}
    assert config_of(scene).revision == revision  # nothing rolls out


async def test_new_code_with_other_arguments_is_a_drift(scene: Scene) -> None:
    _, tool, _ = await running(scene)
    discovers(scene, ADD)
    await scene.rest(tool)

    scene.cluster.config_maps["team", "arithmetic"] = {"arithmetic.py": "def add(a, b): return 0"}
    await scene.rest(tool)
    arguments = {"type": "object", "properties": {"a": {"type": "integer"}}}
    discovers(scene, ADD.model_copy(update={"input_schema": arguments}))
    await scene.rest(tool)

    assert told(scene, tool, "SchemaDrifted")[1] == "CompatibleChange"
