"""The lists themselves; `test_border` shows on a real server what they come to."""

import pytest

from runtime.contract.subjects import Account, Bucket, StackSubjects, inbox
from runtime.contract.trust_config import Role, Workload
from runtime.contract.value import ObjectName
from runtime.trust.permissions import permissions

STACK = ObjectName(namespace="team", name="default")
SUBJECTS = StackSubjects(STACK)
AGENT = ObjectName(namespace="team", name="math")
ADD = ObjectName(namespace="tools", name="add")
WRITER = ObjectName(namespace="prose", name="writer")
ACCOUNT = ObjectName(namespace="team", name="agent-math")
FUNCTIONS_OF_ADD = (
    "$JS.API.DIRECT.GET.KV_team_default_catalogue.$KV.team_default_catalogue.functions.tools.add"
)

RIGHTS = "$JS.API.DIRECT.GET.KV_team_default_policy.$KV.team_default_policy.workloads.{}"

WORKLOADS = {
    Role.OPERATOR: Workload(role=Role.OPERATOR, name=STACK),
    Role.SERVER: Workload(role=Role.SERVER, name=STACK),
    Role.DISPATCHER: Workload(role=Role.DISPATCHER, name=STACK),
    Role.AGENT: Workload(
        role=Role.AGENT, name=AGENT, durable="math-1", calls=(ADD,), asks=(WRITER,)
    ),
    Role.TOOL: Workload(role=Role.TOOL, name=ADD, durable="add-1"),
}


def test_an_agents_lists_hold_just_its_own() -> None:
    allowed = permissions(WORKLOADS[Role.AGENT], SUBJECTS, ACCOUNT)
    assert allowed.account is Account.AGENTS
    assert set(allowed.publish) == {
        "$JS.API.CONSUMER.MSG.NEXT.team_default_TASKS.math-1",
        "$JS.ACK.team_default_TASKS.math-1.>",
        "$JS.API.CONSUMER.MSG.NEXT.team_default_TASKS.math-1_asked",
        "$JS.ACK.team_default_TASKS.math-1_asked.>",
        "k8gentai.team.default.events.team.math.>",
        "k8gentai.team.default.calls.tools.add.team.math",
        "k8gentai.team.default.asks.prose.writer.team.math",
        "$KV.team_default_runs.team.math.>",
        "$KV.team_default_checkpoints.team.math.>",
        "$JS.API.DIRECT.GET.KV_team_default_runs.$KV.team_default_runs.team.math.>",
        "$JS.API.DIRECT.GET.KV_team_default_checkpoints.$KV.team_default_checkpoints.team.math.>",
        "$JS.API.DIRECT.GET.KV_team_default_effects.$KV.team_default_effects.*.*.team.math.>",
        FUNCTIONS_OF_ADD,
        RIGHTS.format("team.agent-math"),
    }
    assert set(allowed.subscribe) == {
        f"{inbox(ACCOUNT)}.>",
        "k8gentai.team.default.wake.team.math.>",
        "k8gentai.team.default.cancel.team.math.*",
    }


def test_a_tools_lists_hold_just_its_own() -> None:
    allowed = permissions(WORKLOADS[Role.TOOL], SUBJECTS, ACCOUNT)
    assert allowed.account is Account.AGENTS
    assert set(allowed.publish) == {
        "$JS.API.CONSUMER.MSG.NEXT.team_default_CALLS.add-1",
        "$JS.ACK.team_default_CALLS.add-1.>",
        "$KV.team_default_effects.tools.add.>",
        "$KV.team_default_catalogue.functions.tools.add",
        "$JS.API.DIRECT.GET.KV_team_default_effects.$KV.team_default_effects.tools.add.>",
        FUNCTIONS_OF_ADD,
        RIGHTS.format("*.*"),
        "k8gentai.team.default.wake.>",
    }
    assert allowed.subscribe == (f"{inbox(ACCOUNT)}.>", "k8gentai.team.default.cancel.>")


@pytest.mark.parametrize("role", list(Role))
def test_no_list_is_empty_since_that_would_allow_everything(role: Role) -> None:
    allowed = permissions(WORKLOADS[role], SUBJECTS, ACCOUNT)
    assert allowed.publish
    assert allowed.subscribe


@pytest.mark.parametrize("role", list(Role))
def test_nobody_may_say_or_hear_everything(role: Role) -> None:
    allowed = permissions(WORKLOADS[role], SUBJECTS, ACCOUNT)
    for subject in (*allowed.publish, *allowed.subscribe):
        assert subject.split(".")[0] not in {">", "*", "_INBOX", "$SYS"}


@pytest.mark.parametrize("role", [Role.SERVER, Role.DISPATCHER, Role.AGENT, Role.TOOL])
def test_only_the_operator_makes_streams_durables_and_policy(role: Role) -> None:
    allowed = permissions(WORKLOADS[role], SUBJECTS, ACCOUNT)
    for word in ("STREAM.CREATE", "STREAM.UPDATE", "STREAM.DELETE", "DURABLE"):
        assert not [subject for subject in allowed.publish if word in subject]
    written = SUBJECTS.record(Bucket.POLICY, "")
    assert not [subject for subject in allowed.publish if subject.startswith(written)]
    assert "$JS.API.>" not in allowed.publish


@pytest.mark.parametrize("role", [Role.SERVER, Role.DISPATCHER, Role.AGENT, Role.TOOL])
def test_only_the_server_erases_what_runs_and_users_have_left(role: Role) -> None:
    allowed = permissions(WORKLOADS[role], SUBJECTS, ACCOUNT)
    purged = [subject for subject in allowed.publish if "PURGE" in subject]

    expected = [
        "$JS.API.STREAM.PURGE.team_default_EVENTS",
        "$JS.API.STREAM.PURGE.KV_team_default_checkpoints",
        "$JS.API.STREAM.PURGE.KV_team_default_conversations",
        "$JS.API.STREAM.PURGE.KV_team_default_effects",
    ]
    assert purged == (expected if role is Role.SERVER else [])


@pytest.mark.parametrize(
    ("role", "streams"),
    [
        pytest.param(Role.SERVER, {"TASKS", "CALLS", "DEAD", "ADVISORIES"}, id="server"),
        pytest.param(Role.DISPATCHER, {"TASKS", "CALLS"}, id="dispatcher"),
        pytest.param(Role.AGENT, set(), id="agent"),
        pytest.param(Role.TOOL, set(), id="tool"),
    ],
)
def test_who_takes_single_messages_out_of_streams(role: Role, streams: set[str]) -> None:
    allowed = permissions(WORKLOADS[role], SUBJECTS, ACCOUNT).publish

    for verb in ("GET", "DELETE"):
        prefix = f"$JS.API.STREAM.MSG.{verb}.team_default_"
        found = {one.removeprefix(prefix) for one in allowed if one.startswith(prefix)}
        assert found - {"EVENTS"} == streams


@pytest.mark.parametrize("role", [Role.SERVER, Role.AGENT, Role.TOOL])
def test_only_the_dispatcher_says_what_agents_have_asked_for(role: Role) -> None:
    asked = SUBJECTS.every("asked")
    assert asked in permissions(WORKLOADS[Role.DISPATCHER], SUBJECTS, ACCOUNT).publish
    assert not [
        subject
        for subject in permissions(WORKLOADS[role], SUBJECTS, ACCOUNT).publish
        if subject.startswith(asked.removesuffix(">"))
    ]


@pytest.mark.parametrize("role", [Role.AGENT, Role.TOOL])
def test_a_worker_has_a_durable_or_no_permission_at_all(role: Role) -> None:
    with pytest.raises(ValueError, match="has no durable"):
        permissions(Workload(role=role, name=AGENT), SUBJECTS, ACCOUNT)


@pytest.mark.parametrize("name", ["a.b", ">", "*", "a b", ""])
def test_a_name_cannot_widen_a_subject(name: str) -> None:
    workload = Workload(role=Role.AGENT, name=ObjectName(namespace="team", name=name), durable="d")
    with pytest.raises(ValueError, match="is no DNS label"):
        permissions(workload, SUBJECTS, ACCOUNT)


@pytest.mark.parametrize("name", [">", "*", "a.b", "a b"])
def test_a_durable_cannot_widen_a_subject(name: str) -> None:
    workload = Workload(role=Role.AGENT, name=AGENT, durable=name)
    with pytest.raises(ValueError, match="is no DNS label"):
        permissions(workload, SUBJECTS, ACCOUNT)
