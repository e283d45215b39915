"""What workers and servers say of themselves never makes a status that the API server refuses."""

from datetime import UTC, datetime
from typing import Any

from controller.api.conditions import ReadyReason
from controller.api.stack import StackStatus
from controller.api.tool import ToolStatus
from controller.model import Health, Outcome, Provider, ServerFacts, Thought
from controller.status import stack_status, tool_status
from controller.tests.desired.views import stack_view, tool_view
from runtime.contract.catalogue import FunctionSpec, ToolFunctions
from runtime.contract.value import ObjectName

NOW = datetime(2026, 11, 22, tzinfo=UTC)
LONG = "long " * 10_000
WELL = Health(ReadyReason.READY, "1 of 1 worker ready")


def test_a_tool_with_more_functions_than_fit_shows_those_that_do() -> None:
    functions = tuple(
        FunctionSpec(name=f"{number}-{LONG}", description=LONG, input_schema={})
        for number in range(300)
    )
    found = ToolFunctions(
        tool=ObjectName(namespace="team", name="add"),
        revision="r",
        digest="sha256:1",
        functions=functions,
    )

    status = tool_status(tool_view(), Thought(health=WELL, functions=found), Outcome(), NOW)

    assert _reads(ToolStatus, status.dump()) == status
    assert (status.tool_count, len(status.tools)) == (256, 256)


def test_a_server_may_say_as_much_as_it_likes() -> None:
    facts = ServerFacts(
        version=LONG,
        models=tuple(f"agents/{number}-{LONG}" for number in range(2000)),
        providers=tuple(Provider(LONG, LONG, LONG, "Error", LONG) for _ in range(300)),
    )
    view = stack_view(server=facts)

    status = stack_status(view, Thought(health=WELL), Outcome(), NOW, version=LONG)

    assert _reads(StackStatus, status.dump()) == status
    assert (len(status.models), len(status.providers)) == (1024, 256)


def test_a_message_is_cut_before_it_is_refused() -> None:
    health = Health(ReadyReason.CRASH_LOOP, LONG)

    status = tool_status(tool_view(), Thought(health=health), Outcome(), NOW)

    assert all(len(one.message) <= 4096 for one in status.conditions)


def _reads[S: (ToolStatus, StackStatus)](status: type[S], dumped: dict[str, Any]) -> S:
    return status.model_validate(dumped)
