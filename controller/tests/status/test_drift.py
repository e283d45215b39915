"""A Tool's functions beside those that were accepted."""

from datetime import UTC, datetime
from typing import Any

import pytest

from controller.api.conditions import Condition, ConditionType, ReadyReason
from controller.api.names import Kind
from controller.api.tool import ToolStatus
from controller.model import Health, Key, Outcome, Thought
from controller.status import kube_events, tool_status
from controller.status.drift import digest_of, discovered_tool, function_changes
from controller.tests.desired.views import the_tool, tool_view
from runtime.contract.catalogue import FunctionSpec, ToolFunctions
from runtime.contract.value import ObjectName

NOW = datetime(2026, 11, 22, tzinfo=UTC)
WELL = Health(ReadyReason.READY, "1 of 1 worker ready")
KEY = Key(Kind.TOOL, "team", "add")
PYTHON: dict[str, Any] = {"python": {"entrypoint": "arithmetic:other"}}
ELSEWHERE = f"sha256:{'0' * 64}"


def function(name: str = "add", description: str = "Adds.", **properties: Any) -> FunctionSpec:
    schema = {"type": "object", "properties": properties, "required": sorted(properties)}
    return FunctionSpec(name=name, description=description, input_schema=schema)


ADD = function(a={"type": "integer"})
ADD_TWO = function(a={"type": "integer"}, b={"type": "integer"})
REPHRASED = function(description="Adds up.", a={"type": "integer"})
SUB = function("sub", a={"type": "integer"})


def digest(*functions: FunctionSpec) -> str:
    return digest_of(discovered_tool(one) for one in functions)


def then(
    before: ToolStatus,
    *functions: FunctionSpec,
    problem: str | None = None,
    generation: int = 1,
    **spec: Any,
) -> ToolStatus:
    """The status after the worker has found `functions`, as the API server would give it back."""
    found = ToolFunctions(
        tool=ObjectName(namespace="team", name="add"),
        revision="r",
        digest="sha256:1",
        functions=functions,
        problem=problem,
    )
    tool = the_tool(**spec)
    metadata = tool.metadata.model_copy(update={"generation": generation})
    view = tool_view(tool.model_copy(update={"status": before, "metadata": metadata}))
    status = tool_status(view, Thought(health=WELL, functions=found), Outcome(), NOW)
    return ToolStatus.model_validate(status.dump())


def drifted(status: ToolStatus) -> Condition | None:
    return status.condition(ConditionType.SCHEMA_DRIFTED)


def told(status: ToolStatus) -> tuple[str, str]:
    found = drifted(status)
    assert found is not None
    assert found.status == "True"
    return found.reason, found.message


def test_what_is_found_first_is_accepted() -> None:
    status = then(ToolStatus(), ADD, SUB)

    assert drifted(status) is None
    assert status.schema_digest == digest(SUB, ADD)
    assert status.accepted_schema is not None
    assert status.accepted_schema.digest == status.schema_digest
    assert [one.input_schema for one in status.accepted_schema.functions] == [{}, {}]


def test_a_drift_names_functions_changes_and_the_way_out() -> None:
    before = then(ToolStatus(), ADD, SUB)

    status = then(before, ADD_TWO)

    assert told(status) == (
        "BreakingChange",
        (
            "the functions are not as they were accepted: add: argument b is new and required; "
            "sub was removed; agents get them as they are; to accept them, set spec.schemaDigest "
            f"to {digest(ADD_TWO)}"
        ),
    )
    assert status.accepted_schema is not None
    assert [one.input_schema for one in status.accepted_schema.functions] == [
        ADD.input_schema,
        SUB.input_schema,
    ]


@pytest.mark.parametrize(
    ("functions", "said"),
    [
        pytest.param((ADD, SUB), "sub is new", id="one more"),
        pytest.param((REPHRASED,), "add: it is described in other words", id="other words"),
    ],
)
def test_what_breaks_nothing_is_told_as_such(functions: Any, said: str) -> None:
    reason, message = told(then(then(ToolStatus(), ADD), *functions))

    assert reason == "CompatibleChange"
    assert f": {said}; " in message


def test_a_drift_lasts_until_all_is_as_it_was() -> None:
    first = then(ToolStatus(), ADD, SUB)
    second = then(first, ADD_TWO)

    assert told(then(second, ADD_TWO)) == told(second)
    assert "argument b is new" not in told(then(second, ADD))[1]
    assert then(second, ADD, SUB) == first


def test_the_spec_accepts_by_digest_and_then_nothing_else() -> None:
    before = then(then(ToolStatus(), ADD), ADD_TWO)
    pin = digest(ADD_TWO)

    accepted = then(before, ADD_TWO, schemaDigest=pin, generation=2)

    assert drifted(accepted) is None
    reason, message = told(then(accepted, ADD, schemaDigest=pin, generation=2))
    assert reason == "BreakingChange"
    assert "add: argument b was removed" in message


def test_a_digest_may_be_given_before_the_functions_are_there() -> None:
    pin = digest(ADD_TWO)

    early = then(ToolStatus(), ADD, schemaDigest=pin)

    assert told(early)[0] == "DigestMismatch"
    assert told(early)[1].startswith("the functions are not those that spec.schemaDigest names; ")
    assert drifted(then(early, ADD_TWO, schemaDigest=pin)) is None


def test_a_digest_of_something_else_accepts_nothing() -> None:
    before = then(then(ToolStatus(), ADD), ADD_TWO)

    wrong = then(before, ADD_TWO, schemaDigest=ELSEWHERE)

    assert told(wrong)[0] == "DigestMismatch"
    assert told(wrong)[1].endswith(digest(ADD_TWO))
    assert told(then(wrong, ADD_TWO)) == told(before)  # as if it had never been given


def test_what_was_accepted_by_digest_stays_so_without_it() -> None:
    before = then(then(ToolStatus(), ADD), ADD_TWO)
    accepted = then(before, ADD_TWO, schemaDigest=digest(ADD_TWO))

    assert drifted(then(accepted, ADD_TWO)) is None
    assert told(then(accepted, ADD))[0] == "BreakingChange"


def test_what_the_spec_itself_changes_is_no_drift() -> None:
    before = then(ToolStatus(), ADD)

    assert drifted(then(before, ADD_TWO, generation=2, **PYTHON)) is None


def test_what_is_not_whole_is_not_accepted() -> None:
    """Else what is missing at first would be a drift as soon as it is there."""
    partly = then(ToolStatus(), ADD, problem="spec.mcp.tools names sub")

    assert (partly.accepted_schema, drifted(partly)) == (None, None)
    assert drifted(then(partly, ADD, SUB)) is None


def test_what_is_missing_after_a_change_of_the_spec_is_no_drift() -> None:
    before = then(ToolStatus(), ADD, SUB)

    partly = then(before, ADD, problem="spec.mcp.tools names sub", **PYTHON)

    assert drifted(partly) is None
    assert drifted(then(partly, ADD, **PYTHON)) is None
    assert told(then(before, ADD, problem="spec.mcp.tools names sub"))[0] == "BreakingChange"


def test_names_that_others_made_up_leave_room_for_the_way_out() -> None:
    strange = [function("\x1b[31m\n" + "x" * 120 + str(number)) for number in range(100)]
    properties: dict[str, Any] = {"y" * 5000: {"type": "integer"}}
    long = function(**properties)

    for found in (strange, [long]):
        _, message = told(then(then(ToolStatus(), ADD), *found))
        assert message.isprintable()
        assert message.endswith(f"set spec.schemaDigest to {digest(*found)}")


def test_a_change_of_anything_else_accepts_nothing() -> None:
    before = then(then(ToolStatus(), ADD), ADD_TWO)

    scaled = then(before, ADD_TWO, generation=2, replicas=3)

    assert told(scaled) == told(before)


def test_a_source_out_of_reach_is_no_drift() -> None:
    before = then(ToolStatus(), ADD)

    lost = then(before, problem="the MCP server cannot be reached")

    assert drifted(lost) is None
    assert lost.tools == ()
    assert "argument b is new and required" in told(then(lost, ADD_TWO))[1]
    drifting = then(before, ADD_TWO)
    assert told(then(drifting, problem="the MCP server cannot be reached")) == told(drifting)


def test_each_change_is_one_event() -> None:
    quiet = then(ToolStatus(), ADD)
    compatible = then(quiet, ADD, SUB)
    breaking = then(compatible, ADD_TWO, SUB)

    def events(before: ToolStatus, after: ToolStatus) -> list[tuple[str, str]]:
        found = kube_events(KEY, "uid", before.conditions, after.conditions)
        return [(one.type, one.reason) for one in found]

    assert events(quiet, compatible) == [("Normal", "CompatibleChange")]
    assert events(compatible, then(compatible, ADD, SUB)) == []
    assert events(compatible, breaking) == [("Warning", "BreakingChange")]
    assert events(breaking, then(breaking, ADD, SUB)) == [("Normal", "CompatibleChange")]


def test_a_message_tells_the_worst_first_and_not_all() -> None:
    many = [function(f"f{number:03}", a={"type": "integer"}) for number in range(100)]

    _, message = told(then(then(ToolStatus(), ADD), *many))

    assert ": add was removed; f000 is new; " in message
    assert "; and 81 more; " in message


def test_the_order_of_functions_says_nothing() -> None:
    assert drifted(then(then(ToolStatus(), ADD, SUB), SUB, ADD)) is None
    assert tuple(function_changes((discovered_tool(ADD),), (discovered_tool(ADD),))) == ()


def test_what_differs_where_a_status_is_cut_is_told_all_the_same() -> None:
    first, second = (function(description="x" * 5000 + end) for end in "ab")

    assert "add: it is described in other words" in told(then(then(ToolStatus(), first), second))[1]
