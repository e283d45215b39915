"""Every released version of every message stays readable; version 1 changes until it is one."""

from pathlib import Path

import pytest

from runtime.contract.approval import Approval, Verdict
from runtime.contract.client_calls import ClientCall, ClientFunction
from runtime.contract.handover import Handover
from runtime.contract.messages import (
    ApprovalNeeded,
    Call,
    CallResult,
    Completed,
    Failed,
    FailureReason,
    Message,
    Options,
    Outcome,
    OutputNeeded,
    ResponseOptions,
    Role,
    Started,
    Task,
    TextDelta,
    TokenUsage,
    ToolCalled,
    ToolReturned,
    decode_event,
)
from runtime.contract.output_format import OutputFormat
from runtime.contract.runs import RunRecord, RunState
from runtime.contract.value import ObjectName, Versioned

GOLDEN = Path(__file__).parent / "golden"
STACK = ObjectName(namespace="ns", name="stack")
AGENT = ObjectName(namespace="ns", name="math")
TASK = Task(
    id="t1",
    stack=STACK,
    agent=AGENT,
    origin="o1",
    user="ann",
    conversation="conv_1",
    sequence=3,
    input=(Message(role=Role.USER, text="2+3?"),),
    history=(Message(role=Role.ASSISTANT, text="hello"),),
    options=Options(
        stream=True,
        temperature=0.5,
        output=OutputFormat(name="sum", json_schema={"enum": [5, None]}, strict=True),
    ),
    response=ResponseOptions(metadata={"a": "b"}),
    created=1.5,
    deadline=1700000000.5,
    traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
)
FUNCTION = ClientFunction(name="add", parameters={"type": "object"})
OF_CLIENT = TASK.model_copy(
    update={"options": TASK.options.model_copy(update={"functions": (FUNCTION,)})}
)
PLACE = {"task": "t1", "attempt": 2, "seq": 7}
EXAMPLES: dict[str, Versioned] = {
    "task": TASK,
    "task_with_functions": OF_CLIENT,
    "call": Call(
        id="ns.add.ns.math.t1.1.0",
        task="t1",
        step=1,
        index=0,
        caller=AGENT,
        tool=ObjectName(namespace="ns", name="add"),
        function="add",
        arguments={"a": 2, "b": [1, None]},
        worker="w1",
        deadline=1700000000.5,
    ),
    "call_result": CallResult(call="ns.add.ns.math.t1.1.0", outcome=Outcome.SUCCEEDED, value=5),
    "run_record": RunRecord(
        task=TASK,
        state=RunState.COMPLETED,
        attempt=2,
        worker="w1",
        started=2.0,
        ended=3.0,
        text="5",
        usage=TokenUsage(input_tokens=11, output_tokens=7),
    ),
    "run_record_parked": RunRecord(
        task=TASK,
        state=RunState.PARKED,
        attempt=2,
        returned=1,
        started=2.0,
        approvals=(
            Approval(
                call="ns.add.ns.math.t1.1.0",
                function="add",
                arguments='{"a":2}',
                expires=9.5,
                verdict=Verdict.DENIED,
                by="ann",
                reason="too much",
                decided=4.0,
            ),
            Approval(call="ns.add.ns.math.t1.2.0", function="add", arguments="{}", expires=9.5),
        ),
        parked_attempt=2,
        parked=3.0,
    ),
    "run_record_handed_over": RunRecord(
        task=OF_CLIENT,
        state=RunState.PARKED,
        attempt=2,
        returned=1,
        handovers=(
            Handover(
                calls=(
                    ClientCall(key="client.1.0", function="add", arguments='{"a":2}', output="5"),
                ),
                attempt=1,
                seq=3,
                used=TokenUsage(input_tokens=3, output_tokens=1),
                asked=2.0,
                expires=9.5,
                given=4.0,
                response=ResponseOptions(previous="t1"),
            ),
            Handover(
                calls=(ClientCall(key="client.1.1", function="add", arguments='{"a":2}'),),
                first=1,
                attempt=2,
                seq=4,
                asked=5.0,
                expires=9.5,
            ),
        ),
        parked_attempt=2,
        parked=5.0,
    ),
    "output_needed": OutputNeeded.model_validate(
        PLACE
        | {"key": "client.1.0", "function": "add", "arguments": "{}", "handover": 0}
        | {"number": 1}
    ),
    "approval_needed": ApprovalNeeded.model_validate(
        PLACE | {"call": "c1", "tool": "add", "arguments": "{}", "expires": 9.5, "number": 1}
    ),
    "started": Started.model_validate(PLACE | {"worker": "w1"}),
    "text_delta": TextDelta.model_validate(PLACE | {"text": "fünf"}),
    "tool_called": ToolCalled.model_validate(
        PLACE | {"call": "c1", "tool": "add", "arguments": '{"a":2}'}
    ),
    "tool_returned": ToolReturned.model_validate(
        PLACE | {"call": "c1", "tool": "add", "output": "5"}
    ),
    "completed": Completed.model_validate(PLACE | {"text": "5"}),
    "failed": Failed.model_validate(
        PLACE | {"reason": FailureReason.MODEL_ERROR, "message": "the model is down"}
    ),
}


OF_CLIENTS = {name: EXAMPLES[name] for name in ("task_with_functions", "run_record_handed_over")}


def golden(name: str) -> bytes:
    version = "v2" if name in OF_CLIENTS else "v1"
    return (GOLDEN / version / f"{name}.json").read_bytes().rstrip(b"\n")


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_message_is_written_as_it_always_was(name: str) -> None:
    assert EXAMPLES[name].encode() == golden(name)


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_message_of_the_past_is_read(name: str) -> None:
    example = EXAMPLES[name]
    assert type(example).decode(golden(name)) == example


@pytest.mark.parametrize("name", OF_CLIENTS)
def test_a_reader_that_knows_no_functions_of_clients_refuses_what_has_some(name: str) -> None:
    with pytest.raises(ValueError, match="schema"):
        Versioned.decode(golden(name))


@pytest.mark.parametrize("name", OF_CLIENTS)
def test_what_has_functions_of_clients_is_read_from_before_it_had_a_schema(name: str) -> None:
    example = OF_CLIENTS[name]
    assert type(example).decode(golden(name).replace(b'"schema":2', b'"schema":1')) == example


def test_a_record_of_handovers_alone_is_refused_by_such_a_reader_too() -> None:
    handed = OF_CLIENTS["run_record_handed_over"].model_copy(update={"task": TASK})
    with pytest.raises(ValueError, match="schema"):
        Versioned.decode(handed.encode())


def test_an_event_is_told_from_the_others_by_its_kind() -> None:
    for name in ("started", "text_delta", "tool_called", "tool_returned", "completed", "failed"):
        assert decode_event(EXAMPLES[name].encode()) == EXAMPLES[name]


@pytest.mark.parametrize(
    ("data", "word"),
    [
        pytest.param(b"not json", "JSON", id="no JSON"),
        pytest.param(b"{}", "id", id="a field is missing"),
        pytest.param(TASK.encode().replace(b'"schema":1', b'"schema":99'), "schema", id="newer"),
        pytest.param(TASK.encode().replace(b'"user"', b'"robot"'), "role", id="unknown role"),
    ],
)
@pytest.mark.fault(6)
def test_what_is_no_task_is_refused_with_a_word_on_why(data: bytes, word: str) -> None:
    with pytest.raises(ValueError, match=word):
        Task.decode(data.replace(b'"robot":"ann"', b'"user":"ann"'))
