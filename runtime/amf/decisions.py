"""What a person decides on calls that wait for him: parsed at the door, then applied. Pure.

Source:
    OpenAI API reference, "Create a model response", the input item `mcp_approval_response`; fields
    as in llama-stack-api 0.7.3, `OpenAIResponseMCPApprovalResponse`.
"""

from dataclasses import dataclass
from typing import Any

from runtime.amf.asked import LEFT_OUT, refuse_unusual
from runtime.amf.errors import BadRequest, Conflict
from runtime.amf.items import approval_of
from runtime.contract.approval import MOST_REASON, Approval, Verdict
from runtime.contract.messages import Task
from runtime.contract.runs import RunRecord
from runtime.contract.value import ObjectName

ANSWER = "mcp_approval_response"
# What belongs to the request that began the run, and cannot be changed in the middle of it.
SETTLED = ("conversation", "instructions", "temperature", "max_output_tokens", "metadata", "tools")


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """One item: `number` of the approval in the run record, `where` the item stands."""

    number: int
    approve: bool
    reason: str | None
    where: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Decisions:
    """A request that decides on calls of one run of `agent`; its client wants to hear of that run.

    Shape:
        model  how the client calls the agent.
    """

    task: str
    agent: ObjectName
    model: str
    each: tuple[Decision, ...]
    stream: bool
    background: bool

    def followed(self, task: Task, origin: str) -> Task:
        """The task as it goes on, followed by the API process `origin` in this client's way.

        It tells as many events as any of its clients has asked for, and once in the background it
        stays there.
        """
        stream = task.options.stream or self.stream
        background = task.response.background or self.background
        return task.model_copy(
            update={
                "origin": origin,
                "options": task.options.model_copy(update={"stream": stream}),
                "response": task.response.model_copy(update={"background": background}),
            }
        )


def decides(request: Any) -> bool:
    """Whether a request of the Responses API answers to approvals."""
    return not isinstance(request.input, str) and any(
        getattr(item, "type", None) == ANSWER for item in request.input
    )


def decisions(request: Any, task: str | None, agent: ObjectName) -> Decisions:
    """What the request decides on the run `task`, which its `previous_response_id` names.

    Raises:
        BadRequest: it asks for more than that, or for what is not; `param` names it.
    """
    refuse_unusual(request)
    for name in SETTLED:
        if getattr(request, name, None):
            raise BadRequest(
                f"A request that answers to approvals goes on with its run as it is; leave {name} "
                "out.",
                param=name,
            )
    if task is None:
        raise BadRequest(
            "previous_response_id has to name the response that asks for the approval.",
            param="previous_response_id",
        )
    items = [
        (f"input[{number}]", item)
        for number, item in enumerate(request.input)
        if getattr(item, "type", None) not in LEFT_OUT
    ]
    return Decisions(
        task=task,
        agent=agent,
        model=request.model,
        each=tuple(_decision(item, where, task) for where, item in items),
        stream=bool(request.stream),
        background=bool(request.background),
    )


def _decision(item: Any, where: str, task: str) -> Decision:
    if getattr(item, "type", None) != ANSWER:
        raise BadRequest(
            f"A request answers to approvals or says something, not both; {where} is no {ANSWER}.",
            param=where,
        )
    asked = approval_of(item.approval_request_id)
    if asked is None or asked[0] != task:
        raise _unknown(item.approval_request_id, where)
    if item.reason is not None and len(item.reason) > MOST_REASON:
        raise BadRequest(
            f"A reason takes {MOST_REASON} characters at most; that of {where} has "
            f"{len(item.reason)}.",
            param=f"{where}.reason",
        )
    return Decision(number=asked[1], approve=item.approve, reason=item.reason, where=where)


def _unknown(approval: str, where: str) -> BadRequest:
    return BadRequest(
        f"The response asks for no approval {approval}; see the items mcp_approval_request in its "
        "output.",
        param=f"{where}.approval_request_id",
    )


def decided(record: RunRecord, made: Decisions, *, by: str, now: float) -> RunRecord:
    """The record once `by` has decided; every decision is taken, or none.

    Units:
        `now` in seconds since the epoch.

    Raises:
        BadRequest: the run never asked for that.
        Conflict: it is decided, has expired, or the run has ended.
    """
    if record.task.agent != made.agent:
        raise BadRequest(f"The response is none of {made.model}; name its model.", param="model")
    for one in made.each:
        if one.number >= len(record.approvals):
            raise _unknown(f"number {one.number}", one.where)
        _check_open(record, record.approvals[one.number], one.where, now)
        verdict = Verdict.APPROVED if one.approve else Verdict.DENIED
        record = record.deciding(one.number, verdict, by=by, reason=one.reason, now=now)
    return record


def _check_open(record: RunRecord, approval: Approval, where: str, now: float) -> None:
    what = f"this call of {approval.function}"
    if approval.verdict in {Verdict.APPROVED, Verdict.DENIED}:
        why = f"{approval.by} has decided on {what} already: it is {approval.verdict}"
    elif approval.is_open and (record.state.is_end or record.cancel_requested):
        why = f"The run has ended before anybody decided on {what}"
    elif not approval.is_open or approval.expires <= now:
        why = f"Nobody decided in time on {what}"
    else:
        return
    raise Conflict(f"{why}; retrieve the response to see how it went on.", param=where)
