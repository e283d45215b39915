import pytest

from controller.api.names import Kind
from controller.reconcile import references
from controller.tests import samples
from controller.tests.reconcile.scene import Scene, running, told


async def test_a_policy_says_truthfully_that_it_is_not_enforced(scene: Scene) -> None:
    await running(scene)
    policy = scene.cluster.put(samples.policy())

    await scene.reconcile(policy)

    status = scene.cluster.objects[policy]["status"]
    assert told(scene, policy, "Accepted")[:2] == ("True", "Accepted")
    assert told(scene, policy, "ResolvedRefs")[:2] == ("True", "ResolvedRefs")
    assert told(scene, policy, "Enforced")[:2] == ("False", "NotEnforced")
    assert told(scene, policy, "Ready")[:2] == ("False", "NotEnforced")
    assert status["targets"] == "Agent/math"
    (ancestor,) = status["ancestors"]
    assert ancestor["ancestorRef"] == {
        "group": "k8gentai.dev",
        "kind": "Agent",
        "namespace": "team",
        "name": "math",
    }
    assert ancestor["controllerName"] == "k8gentai.dev/operator"
    reasons = {one["type"]: one["reason"] for one in ancestor["conditions"]}
    assert reasons == {"Accepted": "Accepted", "Enforced": "NotEnforced"}


async def test_a_target_that_is_not_there_is_named(scene: Scene) -> None:
    policy = scene.cluster.put(samples.policy())

    await scene.reconcile(policy)

    assert told(scene, policy, "Ready") == (
        "False",
        "RefNotFound",
        "spec.targetRefs: there is no Agent math in namespace team; create it or name another one",
    )


async def test_of_two_policies_on_one_target_the_older_wins(scene: Scene) -> None:
    await running(scene)
    older, newer = scene.cluster.put(samples.policy("b")), scene.cluster.put(samples.policy("a"))

    for key in (older, newer):
        await scene.reconcile(key)

    assert told(scene, older, "Accepted")[1] == "Accepted"
    assert told(scene, newer, "Accepted") == (
        "False",
        "Conflict",
        "spec.targetRefs: Agent math has an older policy, b; change that one or name other targets",
    )
    assert told(scene, newer, "Enforced")[:2] == ("False", "Conflict")

    scene.delete(older)
    assert (await scene.reconcile(older)).finished
    await scene.reconcile(newer)
    assert told(scene, newer, "Accepted")[1] == "Accepted"


REFERENCES = [
    pytest.param(
        samples.agent(
            stackRef={"name": "default", "namespace": "base"},
            source={"module": {"entrypoint": "m:g", "configMapRef": {"name": "code"}}},
            tools=[{"toolRef": {"name": "add"}}],
        ),
        {
            "Stack base/default",
            "ConfigMap team/code",
            "Tool team/add",
            "PolicyTarget team/Agent/math",
            "PolicyTarget base/Stack/default",
        },
        id="agent",
    ),
    pytest.param(
        samples.tool(),
        {
            "Stack team/default",
            "ConfigMap team/arithmetic",
            "PolicyTarget team/Tool/add",
            "PolicyTarget team/Stack/default",
        },
        id="tool",
    ),
    pytest.param(
        samples.stack(
            models=[
                {
                    "name": "m",
                    "provider": "remote::openai",
                    "model": "m",
                    "apiKeySecretRef": {"name": "keys", "key": "k"},
                }
            ],
            messaging={"external": {"url": "nats://a:4222,tls://B"}},
        ),
        {"Secret team/keys", "NATS a:4222", "NATS b:4222", "PolicyTarget team/Stack/default"},
        id="stack",
    ),
    pytest.param(
        samples.policy(), {"Agent team/math", "PolicyTarget team/Agent/math"}, id="policy"
    ),
    pytest.param(samples.agent(framework="Cobol"), set(), id="unreadable"),
    pytest.param(
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x"}}, set(), id="not ours"
    ),
]


@pytest.mark.parametrize(("body", "wanted"), REFERENCES)
def test_references_are_what_has_to_wake_an_object(
    body: dict[str, object], wanted: set[str]
) -> None:
    assert {str(ref) for ref in references(body)} == wanted


def test_references_to_our_kinds_are_told_in_full() -> None:
    ref = next(ref for ref in references(samples.policy()) if ref.api_version)

    assert (ref.api_version, ref.kind) == ("k8gentai.dev/v1alpha1", Kind.AGENT)
