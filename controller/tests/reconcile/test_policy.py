import pytest

from controller.api.names import Kind
from controller.model import EntryRef
from controller.reconcile import references
from controller.tests import samples
from controller.tests.reconcile.scene import Scene, running, told
from runtime.contract.catalogue import AgentEntry
from runtime.contract.subjects import Bucket, StackSubjects
from runtime.contract.trust_config import Workload
from runtime.contract.value import ObjectName

USERS = {"from": {"users": {"claims": {"groups": ["analysts"]}}}, "to": {"agents": ["math"]}}
MATH_ADDS = {"from": {"agents": ["math"]}, "to": {"tools": ["add"]}}


def workload(scene: Scene) -> Workload:
    """What the queue is told of the workers of `math`."""
    policy, _ = buckets()
    return Workload.decode(scene.queue.entries[EntryRef(policy, "workloads.team.agent-math")])


def entry(scene: Scene) -> AgentEntry:
    """What the API servers and dispatchers are told of `math`."""
    _, catalogue = buckets()
    return AgentEntry.decode(scene.queue.entries[EntryRef(catalogue, "agents.team.math")])


def buckets() -> tuple[str, str]:
    names = StackSubjects(ObjectName(namespace="team", name="default"))
    return names.bucket(Bucket.POLICY), names.bucket(Bucket.CATALOGUE)


async def test_a_policy_is_enforced_once_the_queue_has_been_told(scene: Scene) -> None:
    _, _, math = await running(scene)
    policy = scene.cluster.put(samples.policy(access=[USERS, MATH_ADDS]))

    progress = await scene.reconcile(policy)

    assert progress.again_in is not None
    assert told(scene, policy, "Enforced") == (
        "False",
        "NotEnforced",
        "the queue has not been told yet of Agent team/math; see their conditions",
    )
    await scene.rest(math, policy)

    status = scene.cluster.objects[policy]["status"]
    assert told(scene, policy, "Accepted")[:2] == ("True", "Accepted")
    assert told(scene, policy, "ResolvedRefs")[:2] == ("True", "ResolvedRefs")
    assert told(scene, policy, "Enforced") == (
        "True",
        "Enforced",
        (
            "everybody named by no rule is denied; Stack team/default has no spec.auth, so that "
            "whoever calls is anonymous and rules for users let nobody in"
        ),
    )
    assert told(scene, policy, "Ready")[0] == "True"
    assert status["targets"] == "Agent/math"
    (ancestor,) = status["ancestors"]
    assert ancestor["ancestorRef"] == {
        "group": "k8gentai.dev",
        "kind": "Agent",
        "namespace": "team",
        "name": "math",
    }
    assert ancestor["controllerName"] == "k8gentai.dev/operator"
    by_type = {one["type"]: one for one in ancestor["conditions"]}
    assert by_type["Accepted"]["reason"] == "Accepted"
    assert by_type["Enforced"]["message"] == (
        "the Agent math: by spec.access[0], spec.access[1]; all else is denied"
    )
    assert (await scene.reconcile(policy)).again_in is None


async def test_an_agent_is_bound_by_a_policy_and_let_go_again(scene: Scene) -> None:
    _, _, math = await running(scene)
    assert entry(scene).guard is None
    policy = scene.cluster.put(samples.policy(access=[USERS]))

    await scene.rest(math, policy)

    assert workload(scene).calls == ()
    guard = entry(scene).guard
    assert guard is not None
    assert [rule.users for rule in guard.rules] == [{"groups": ("analysts",)}]
    status, reason, message = told(scene, math, "ResolvedRefs")
    assert (status, reason) == ("False", "RefNotPermitted")
    assert message == (
        "spec.tools[0].toolRef: no rule of the IdentityPolicy team/sums, which counts for the "
        "Agent team/math, allows it, so math works without add; add a rule to the policy, or "
        "remove the reference"
    )
    assert told(scene, math, "Programmed")[0] == "True"
    assert entry(scene).accepting

    scene.delete(policy)
    assert (await scene.reconcile(policy)).finished
    await scene.rest(math)

    assert [one.name for one in workload(scene).calls] == ["add"]
    assert entry(scene).guard is None
    assert told(scene, math, "ResolvedRefs")[0] == "True"
    assert scene.cluster.objects[math]["status"]["policies"] == []


async def test_rights_end_though_something_else_in_the_spec_is_wrong(scene: Scene) -> None:
    _, _, math = await running(scene)
    uses = [{"toolRef": {"name": "add"}}]
    scene.cluster.put(samples.agent(tools=uses, modelRef={"name": "nowhere"}))
    policy = scene.cluster.put(samples.policy())

    await scene.rest(math, policy)

    assert workload(scene).calls == ()
    assert entry(scene).guard is not None
    assert told(scene, math, "Programmed")[0] == "False"
    assert told(scene, policy, "Enforced")[0] == "True"


@pytest.mark.fault(26)
async def test_a_suspended_agent_may_do_nothing(scene: Scene) -> None:
    _, _, math = await running(scene)
    uses = [{"toolRef": {"name": "add"}}]
    scene.cluster.put(samples.agent(tools=uses, suspend=True))

    await scene.rest(math)

    assert workload(scene).suspended
    assert not entry(scene).accepting

    scene.cluster.put(samples.agent(tools=uses))
    await scene.rest(math)
    assert workload(scene).suspended is None


async def test_rules_that_count_for_nothing_are_told(scene: Scene) -> None:
    _, _, math = await running(scene)
    to_tool = {"from": {"users": {}}, "to": {"tools": ["add"]}}
    others = {"from": {"agents": ["poet"]}, "to": {"tools": ["sub"]}}
    policy = scene.cluster.put(samples.policy(access=[to_tool, others]))

    await scene.rest(math, policy)

    message = told(scene, policy, "Enforced")[2]
    assert (
        "spec.access[0]: users call no Tools; name the Agents that call them; "
        "spec.access[1]: it names nothing that this policy counts for; "
        "add one of them to spec.targetRefs"
    ) in message


async def test_the_policy_of_a_stack_counts_for_what_has_none_of_its_own(scene: Scene) -> None:
    _, tool, math = await running(scene)
    ask_poet = [{"agentRef": {"name": "poet"}}]
    poet = scene.cluster.put(samples.agent("poet"))
    uses = [{"toolRef": {"name": "add"}}]
    scene.cluster.put(samples.agent(tools=uses, agents=ask_poet))
    targets = [{"kind": "Stack", "name": "default"}]
    whole = scene.cluster.put(samples.policy("whole", targetRefs=targets, access=[MATH_ADDS]))
    asks = {"from": {"agents": ["math"]}, "to": {"agents": ["poet"]}}
    target = [{"kind": "Agent", "name": "poet"}]
    own = scene.cluster.put(samples.policy("own", targetRefs=target, access=[asks]))

    await scene.rest(tool, math, poet, whole, own)

    # What `poet` has of its own lets `math` in, and that of the Stack does not let `math` ask.
    assert [one.name for one in workload(scene).calls] == ["add"]
    assert workload(scene).asks == ()
    for policy in (whole, own):
        assert told(scene, policy, "Enforced")[0] == "True"
    (ancestor,) = scene.cluster.objects[whole]["status"]["ancestors"]
    by_type = {one["type"]: one["message"] for one in ancestor["conditions"]}
    assert by_type["Enforced"] == (
        "the Agents and Tools of the Stack default that have no policy of their own: by "
        "spec.access[0]; all else is denied"
    )
    told_of = scene.cluster.objects[math]["status"]["policies"]
    assert [one["name"] for one in told_of] == ["own", "whole"]


async def test_a_policy_that_cannot_be_read_lets_nobody_in(scene: Scene) -> None:
    _, _, math = await running(scene)
    scene.cluster.put(samples.policy(access=[{"from": {}, "to": {"agents": ["math"]}}]))

    await scene.rest(math)

    guard = entry(scene).guard
    assert guard is not None
    assert guard.rules == ()


async def test_a_target_that_is_not_there_is_named(scene: Scene) -> None:
    policy = scene.cluster.put(samples.policy())

    await scene.reconcile(policy)

    assert told(scene, policy, "Ready") == (
        "False",
        "RefNotFound",
        "spec.targetRefs: there is no Agent math in namespace team; create it or name another one",
    )


async def test_how_workers_prove_themselves_denies_nobody(scene: Scene) -> None:
    _, tool, math = await running(scene)
    scene.cluster.put(samples.agent(tools=[{"toolRef": {"name": "add"}}]))
    proving = {"provider": "ServiceAccount"}
    older = scene.cluster.put(samples.policy("b", workloadIdentity=proving))
    newer = scene.cluster.put(samples.policy("a", access=[MATH_ADDS], workloadIdentity=proving))

    await scene.rest(tool, math, older, newer)

    assert [one.name for one in workload(scene).calls] == ["add"]
    assert told(scene, older, "Enforced")[2].startswith("it says how workers prove who they are")
    assert told(scene, newer, "Accepted")[1] == "Accepted"
    assert (
        "spec.workloadIdentity has no effect on Agent math, of which the older policy b says it"
    ) in told(scene, newer, "Enforced")[2]


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
            "IdentityPolicies team/",
            "IdentityPolicies base/",
        },
        id="agent",
    ),
    pytest.param(
        samples.tool(),
        {"Stack team/default", "ConfigMap team/arithmetic", "IdentityPolicies team/"},
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
        {"Secret team/keys", "NATS a:4222", "NATS b:4222", "IdentityPolicies team/"},
        id="stack",
    ),
    pytest.param(samples.policy(), {"Agent team/math", "IdentityPolicies team/"}, id="policy"),
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
    _, ref = sorted(references(samples.policy()))

    assert (ref.api_version, ref.kind) == ("k8gentai.dev/v1alpha1", Kind.AGENT)
