from typing import Any

import pytest

from controller.api.identity_policy import IdentityPolicy
from controller.api.names import Kind
from controller.api.parse import parse
from controller.desired.access import counts_for, denials, guard_of, permitted
from controller.desired.agent import agent_workload, catalogue_entry, narrowed
from controller.desired.availability import Availability
from controller.desired.metadata import Role, workload_name
from controller.model import EntryRef, Key, QueueFacts, Stage
from controller.tests import samples
from controller.tests.desired.views import a_tool, agent_view, an_agent
from runtime.contract.catalogue import AgentEntry
from runtime.contract.keys import agent_account, workload_entry
from runtime.contract.subjects import Bucket, StackSubjects
from runtime.contract.trust_config import Workload
from runtime.contract.value import ObjectName

MATH, ADD = Key(Kind.AGENT, "team", "math"), Key(Kind.TOOL, "team", "add")
STACK = Key(Kind.STACK, "team", "default")
USERS = {"from": {"users": {"claims": {"groups": ["analysts"]}}}, "to": {"agents": ["math"]}}
MATH_ADDS = {"from": {"agents": ["math"]}, "to": {"tools": ["add"]}, "scopes": ["sums"]}
SUBJECTS = StackSubjects(ObjectName(namespace="team", name="default"))


def policy(
    name: str = "sums", *targets: str, created: int = 0, namespace: str = "team", **spec: Any
) -> IdentityPolicy:
    refs = [dict(zip(("kind", "name"), target.split("/"), strict=True)) for target in targets]
    body = samples.policy(name, namespace, targetRefs=refs or [{"kind": "Agent", "name": "math"}])
    body["spec"] |= spec
    body["metadata"] |= {"creationTimestamp": f"2026-11-22T10:00:0{created}Z"}
    return parse(IdentityPolicy, body)


PROVING: dict[str, Any] = {"workloadIdentity": {"provider": "ServiceAccount"}}
COUNTING = [
    pytest.param((), None, id="none"),
    pytest.param((policy("a"),), "a", id="its own"),
    pytest.param((policy("a", "Agent/poet"),), None, id="another agent's"),
    pytest.param((policy("a", "Tool/math"),), None, id="that of a tool of its name"),
    pytest.param((policy("a", "Stack/default"),), "a", id="its stack's"),
    pytest.param((policy("a", "Stack/other"),), None, id="another stack's"),
    pytest.param((policy("a", namespace="other"),), None, id="of another namespace"),
    pytest.param((policy("a", created=1), policy("b")), "b", id="the oldest"),
    pytest.param((policy("b"), policy("a")), "a", id="of one moment the first by name"),
    pytest.param(
        (policy("a", "Stack/default"), policy("b", created=1)), "b", id="its own before its stack's"
    ),
    pytest.param((policy("a", **PROVING),), None, id="not one that only says how it proves itself"),
    pytest.param((policy("a", **PROVING, access=[]),), "a", id="one that says both"),
    pytest.param(
        (policy("a", **PROVING), policy("b", created=1)), "b", id="the oldest that is about this"
    ),
]


@pytest.mark.parametrize(("policies", "name"), COUNTING)
def test_which_policy_counts(policies: tuple[IdentityPolicy, ...], name: str | None) -> None:
    found = counts_for(MATH, STACK, policies)

    assert (found.metadata.name if found else None) == name


def test_a_policy_that_is_being_deleted_counts_no_more() -> None:
    body = samples.policy("a")
    body["metadata"]["deletionTimestamp"] = "2026-11-22T10:00:00Z"

    assert counts_for(MATH, STACK, (parse(IdentityPolicy, body),)) is None


def test_a_guard_has_the_rules_that_are_about_its_object() -> None:
    policies = (policy("a", "Agent/math", "Tool/add", access=[USERS, MATH_ADDS]),)

    of_math, of_add = (guard_of(key, STACK, policies) for key in (MATH, ADD))

    assert of_math is not None
    assert of_add is not None
    assert [rule.place for rule in of_math.rules] == [0, 1]
    assert [rule.place for rule in of_add.rules] == [1]
    assert of_add.rules[0].scopes == ("sums",)


def test_an_object_of_another_namespace_is_in_no_rule_of_its_stacks_policy() -> None:
    policies = (policy("a", "Stack/default", access=[MATH_ADDS]),)

    guard = guard_of(Key(Kind.TOOL, "other", "add"), STACK, policies)

    assert guard is not None
    assert guard.rules == ()


def test_an_agent_may_call_what_its_spec_names_and_no_policy_denies() -> None:
    tools = (a_tool(), a_tool("sub"))
    policies = (policy("a", "Tool/add", access=[MATH_ADDS]), policy("b", "Tool/sub"))
    view = agent_view(tools=tools, agents=(an_agent(),), facts={"policies": policies})

    (denial,) = denials(view)

    assert (denial.field, denial.key.name) == ("spec.tools[1].toolRef", "sub")
    assert denial.verdict.why == (
        "no rule of the IdentityPolicy team/b, which counts for the Tool team/sub, allows it"
    )
    assert [one.name for one in permitted(view, Kind.TOOL)] == ["add"]
    workload = agent_workload(view, "1")
    assert [one.name for one in (*workload.calls, *workload.asks)] == ["add", "poet"]


def test_the_catalogue_says_who_may_call() -> None:
    policies = (policy("a", "Agent/math", access=[USERS]),)
    view = agent_view(tools=(a_tool(),), facts={"policies": policies})
    told = Availability(is_ready=True, reason="Ready", message="")

    entry = catalogue_entry(view, SUBJECTS, stage=Stage.STAYING, availability=told)

    read = AgentEntry.decode(entry.value)
    assert read.guard == guard_of(MATH, STACK, policies)
    assert read.tools == ()


def test_what_workers_of_an_earlier_spec_may_do_is_narrowed_alone() -> None:
    """Whatever is wrong with the spec by now, it must not keep rights alive."""
    account = workload_name(Role.AGENT, MATH)
    ref = EntryRef(SUBJECTS.bucket(Bucket.POLICY), workload_entry(account))
    view = agent_view(tools=(a_tool(), a_tool("sub")))
    old = agent_workload(view, "1")
    facts = {
        "policies": (policy("b", "Tool/sub"),),
        "queue": QueueFacts(entries={ref: old.encode()}),
    }

    (entry,) = narrowed(agent_view(facts=facts, suspend=True), SUBJECTS)

    told = Workload.decode(entry.value)
    assert entry.ref == ref
    assert [one.name for one in told.calls] == ["add"]
    assert told.suspended
    assert told.durable == old.durable


def test_the_workers_of_an_agent_run_as_the_queue_expects() -> None:
    assert agent_account(MATH.object_name) == workload_name(Role.AGENT, MATH)
