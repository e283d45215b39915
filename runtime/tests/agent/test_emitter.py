"""What is told of a tool's answer, on a queue in memory."""

import pytest
from pydantic_core import to_json

from controller.desired.nats import MAX_PAYLOAD_BYTES
from runtime.agent.emitter import TOLD_BYTES, TOLD_CHARACTERS, Emitter
from runtime.contract.messages import Message, Outcome, Role, Task, ToolReturned, decode_event
from runtime.contract.subjects import Stream
from runtime.contract.value import ObjectName
from runtime.tools.port import Returned
from runtime.transport.memory import MemoryQueue

STACK = ObjectName(namespace="ns", name="stack")
TASK = Task(
    id="t1",
    stack=STACK,
    agent=ObjectName(namespace="ns", name="math"),
    origin="o",
    input=(Message(role=Role.USER, text="?"),),
    created=0,
    deadline=1,
)


@pytest.mark.parametrize(
    ("output", "cut"),
    [
        pytest.param("5", False, id="short"),
        pytest.param("x" * (TOLD_BYTES - 2), False, id="as long as may be"),
        pytest.param("x" * (TOLD_BYTES - 1), True, id="a little longer"),
        pytest.param("\x01" * TOLD_CHARACTERS, False, id="six bytes for each character"),
        pytest.param("\x01" * (TOLD_CHARACTERS + 1), True, id="one character too many"),
        pytest.param("\U0001f600" * 1_000_000, True, id="four megabytes"),
    ],
)
async def test_of_a_long_answer_the_beginning_is_told(
    output: str,
    cut: bool,  # a parameter of the table
) -> None:
    queue = MemoryQueue(STACK)
    await Emitter(queue.link().outbox, TASK, 1).call(
        Returned("k", "search", output, Outcome.SUCCEEDED)
    )
    (stored,) = queue.messages(Stream.EVENTS)
    event = decode_event(stored.data)
    assert isinstance(event, ToolReturned)
    beginning = output[:TOLD_CHARACTERS]
    note = f"{beginning}… (the agent was given all {len(output)} characters)"
    assert event.output == (note if cut else output)
    assert len(to_json(event.output)) < len(stored.data) < MAX_PAYLOAD_BYTES
