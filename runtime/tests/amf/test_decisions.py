"""What a person may decide, and by which name everything else is refused."""

from typing import Any

import pytest

from runtime.amf.decisions import Decision, decided, decides, decisions
from runtime.amf.desk import Desk
from runtime.amf.errors import ApiError, BadRequest, Conflict, NotFound
from runtime.amf.giving import decide
from runtime.contract.agent_config import Queue, StackConfig
from runtime.contract.approval import MOST_REASON, Approval, Verdict
from runtime.contract.keys import run_key
from runtime.contract.messages import Message, Role, Task
from runtime.contract.runs import RunRecord, RunState
from runtime.contract.subjects import Bucket
from runtime.contract.value import ObjectName
from runtime.tests.amf.events import MATH, TASK
from runtime.tests.amf.server_types import CreateResponseRequest
from runtime.transport.memory import MemoryQueue
from runtime.transport.port import Entry

STACK = ObjectName(namespace="team", name="default")
WRITER = ObjectName(namespace="team", name="writer")
NOW = 1000.0


def item(number: int = 0, *, approve: bool = True, task: str = TASK, **fields: Any) -> Any:
    approval = f"mcpr_{task}_{number}"
    kind = {"type": "mcp_approval_response", "approval_request_id": approval}
    return kind | {"approve": approve} | fields


def request(*items: Any, **fields: Any) -> Any:
    body = {"model": "math", "previous_response_id": f"resp_{TASK}", "input": list(items)}
    return CreateResponseRequest.model_validate(body | fields)


def asking(*verdicts: Verdict | None, expires: float = NOW + 9, **facts: Any) -> RunRecord:
    approvals = tuple(
        Approval(
            call=f"c{number}",
            function="plus",
            arguments="{}",
            expires=expires,
            verdict=one,
            by=one and "ann",
        )
        for number, one in enumerate(verdicts)
    )
    task = Task(
        id=TASK,
        stack=STACK,
        agent=MATH,
        origin="elsewhere",
        user="ann",
        input=(Message(role=Role.USER, text="2+3?"),),
        created=1,
        deadline=2,
    )
    fields: dict[str, Any] = {"state": RunState.PARKED, "attempt": 1, "parked_attempt": 1}
    return RunRecord(task=task, approvals=approvals, **fields | facts)


def test_decisions_are_read_and_what_an_agent_said_is_passed_over() -> None:
    said = {"type": "mcp_approval_request", "id": "mcpr_1", "arguments": "{}", "name": "plus"}
    asked = request(
        said | {"server_label": "add"}, item(), item(1, approve=False, reason="too much")
    )

    assert decides(asked)
    made = decisions(asked, TASK, MATH)

    assert made.each == (
        Decision(number=0, approve=True, reason=None, where="input[1]"),
        Decision(number=1, approve=False, reason="too much", where="input[2]"),
    )
    record = decided(asking(None, None), made, by="bob", now=NOW)
    assert [(one.verdict, one.by, one.reason) for one in record.approvals] == [
        (Verdict.APPROVED, "bob", None),
        (Verdict.DENIED, "bob", "too much"),
    ]


@pytest.mark.parametrize("said", ["2+3?", [{"role": "user", "content": "2+3?"}]])
def test_a_question_decides_nothing(said: Any) -> None:
    assert not decides(CreateResponseRequest.model_validate({"model": "math", "input": said}))


@pytest.mark.parametrize(
    ("asked", "task", "param"),
    [
        pytest.param(
            request(item(), {"role": "user", "content": "and 2+4?"}), TASK, "input[1]", id="mixture"
        ),
        pytest.param(
            request(item(task="f" * 32)), TASK, "input[0].approval_request_id", id="of another run"
        ),
        pytest.param(
            request(item(approval_request_id="mcpr_1")),
            TASK,
            "input[0].approval_request_id",
            id="none of ours",
        ),
        pytest.param(
            request(item(reason="x" * (MOST_REASON + 1))), TASK, "input[0].reason", id="too long"
        ),
        pytest.param(request(item()), None, "previous_response_id", id="of no run"),
        pytest.param(
            request(item(), instructions="Be brief."), TASK, "instructions", id="instructions"
        ),
        pytest.param(request(item(), metadata={"a": "b"}), TASK, "metadata", id="metadata"),
        pytest.param(
            request(item(), tools=[{"type": "web_search"}]), TASK, "tools", id="what nobody takes"
        ),
    ],
)
def test_what_is_no_decision_alone_is_refused_by_its_name(
    asked: Any, task: str | None, param: str
) -> None:
    with pytest.raises(BadRequest) as refused:
        decisions(asked, task, MATH)
    assert refused.value.param == param


@pytest.mark.parametrize(
    ("record", "agent", "error", "words"),
    [
        pytest.param(
            asking(Verdict.DENIED), MATH, Conflict, "ann has decided .* it is Denied", id="decided"
        ),
        pytest.param(
            asking(Verdict.EXPIRED), MATH, Conflict, "Nobody decided in time", id="expired"
        ),
        pytest.param(
            asking(None, expires=NOW), MATH, Conflict, "Nobody decided in time", id="expires now"
        ),
        pytest.param(
            asking(None, state=RunState.CANCELLED), MATH, Conflict, "has ended before", id="ended"
        ),
        pytest.param(
            asking(None, cancel_requested=True), MATH, Conflict, "has ended before", id="ending"
        ),
        pytest.param(asking(), MATH, BadRequest, "asks for no approval", id="never asked"),
        pytest.param(asking(None), WRITER, BadRequest, "is none of math", id="of another agent"),
    ],
)
def test_what_cannot_be_decided_is_refused(
    record: RunRecord, agent: ObjectName, error: type[ApiError], words: str
) -> None:
    with pytest.raises(error, match=words):
        decided(record, decisions(request(item()), TASK, agent), by="bob", now=NOW)


def test_of_decisions_that_cannot_all_be_made_none_is() -> None:
    made = decisions(request(item(), item()), TASK, MATH)
    with pytest.raises(Conflict, match="bob has decided"):
        decided(asking(None), made, by="bob", now=NOW)


class Place:
    """A desk, and one run that waits for `ann`."""

    def __init__(self) -> None:
        link = MemoryQueue(STACK).link()
        queue = Queue(stack=STACK, url="", token_file="", service_account=STACK)
        self.desk = Desk(StackConfig(queue=queue), link)
        self.store = link.store(Bucket.RUNS)

    async def record(self) -> RunRecord:
        entry = await self.store.get(run_key(MATH, TASK))
        assert isinstance(entry, Entry)
        return RunRecord.decode(entry.value)


async def test_a_decision_is_written_with_who_made_it_and_who_follows_from_here_on() -> None:
    place = Place()
    await place.store.put(run_key(MATH, TASK), asking(None, expires=2e9).encode())

    made = decisions(request(item(), stream=True), TASK, MATH)
    record = await decide(place.desk, made, "ann")

    assert record == await place.record()
    (approval,) = record.approvals
    assert (approval.verdict, approval.by) == (Verdict.APPROVED, "ann")
    assert (record.task.origin, record.task.options.stream) == (place.desk.origin, True)
    assert record.state is RunState.PARKED


@pytest.mark.parametrize("there", [True, False], ids=["somebody else's", "no run"])
async def test_nobody_decides_on_a_run_that_is_not_his(*, there: bool) -> None:
    place = Place()
    if there:
        await place.store.put(run_key(MATH, TASK), asking(None, expires=2e9).encode())

    with pytest.raises(NotFound, match=f"There is no response resp_{TASK}"):
        await decide(place.desk, decisions(request(item()), TASK, MATH), "bob")

    if there:
        assert await place.record() == asking(None, expires=2e9)
