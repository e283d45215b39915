"""A run in the shapes of the Chat Completions API.

That API has no place for what an agent's tools did: it tells the text, and what the client is to
call, alone.

Source:
    OpenAI API reference, "The chat completion object" and "The chat completion chunk object".
"""

from collections.abc import Iterable, Iterator
from http import HTTPStatus
from typing import Any

from runtime.amf.errors import ApiError
from runtime.amf.items import Wire

APPROVAL = "mcp_approval_request"
FUNCTION = "function_call"


class RunFailed(ApiError):
    """The run has failed, was cancelled, or needs a person; this API has no answer that says so.

    Its status is none after which the clients' libraries would ask, and so run, once more.
    """

    status = HTTPStatus.FAILED_DEPENDENCY
    code = "run_failed"


def completion(response: Wire) -> Wire:
    """The whole answer, from the response object of the same run.

    Raises:
        RunFailed: there is none.
    """
    _check(response)
    message: Wire = {"role": "assistant", "content": _text(response)}
    if calls := _calls(response):
        message = message | {"tool_calls": calls, "content": message["content"] or None}
    return _head(response, "chat.completion") | {
        "choices": [{"index": 0, "finish_reason": _why(response), "message": message}],
        "usage": _usage(response),
    }


class Chunks:
    """The pieces of a streamed answer, from the streaming events of the same run."""

    def __init__(self, response: Wire, *, with_usage: bool) -> None:
        self._response = response
        self._with_usage = with_usage

    def first(self) -> Wire:
        """Who speaks."""
        return self._chunk({"role": "assistant", "content": ""})

    def of(self, frames: Iterable[Wire]) -> Iterator[Wire]:
        """What the events are here.

        Raises:
            RunFailed: the answer breaks off.
        """
        for frame in frames:
            if frame["type"] == "response.output_text.delta":
                yield self._chunk({"content": frame["delta"]})
            elif (response := frame.get("response")) and response["usage"] is not None:
                _check(response)
                if calls := _calls(response):
                    numbered = [{"index": place} | call for place, call in enumerate(calls)]
                    yield self._chunk({"tool_calls": numbered})
                yield self._chunk({}, finish=_why(response))
                if self._with_usage:
                    head = _head(response, "chat.completion.chunk")
                    yield head | {"choices": [], "usage": _usage(response)}
            elif frame["type"] == "error":
                raise RunFailed(frame["message"])

    def _chunk(self, delta: Wire, finish: str | None = None) -> Wire:
        choice = {"index": 0, "delta": delta, "finish_reason": finish}
        return _head(self._response, "chat.completion.chunk") | {"choices": [choice]}


def without_nulls(told: Any) -> Any:
    """The same JSON value without what is null in its objects."""
    match told:
        case dict():
            return {name: without_nulls(one) for name, one in told.items() if one is not None}
        case list():
            return [without_nulls(one) for one in told]
        case _:
            return told


def _head(response: Wire, kind: str) -> Wire:
    return {
        "id": response["id"].replace("resp_", "chatcmpl-", 1),
        "object": kind,
        "created": response["created_at"],
        "model": response["model"],
    }


def _check(response: Wire) -> None:
    asked = [item["name"] for item in response["output"] if item["type"] == APPROVAL]
    if asked:
        raise RunFailed(
            f"A person has to approve the call of {', '.join(asked)}, and the Chat Completions API "
            "has no shape for that; ask the agent by /v1/responses. The run was cancelled."
        )
    if response["status"] != "completed":
        error = response["error"] or {"message": f"The run was {response['status']}."}
        raise RunFailed(error["message"])


def _calls(response: Wire) -> list[Wire]:
    return [
        {
            "id": item["call_id"],
            "type": "function",
            "function": {"name": item["name"], "arguments": item["arguments"]},
        }
        for item in response["output"]
        if item["type"] == FUNCTION
    ]


def _why(response: Wire) -> str:
    return "tool_calls" if _calls(response) else "stop"


def _text(response: Wire) -> str:
    parts = [part for item in response["output"] for part in item.get("content", ())]
    return "".join(part["text"] for part in parts)


def _usage(response: Wire) -> Wire:
    usage = response["usage"]
    return {
        "prompt_tokens": usage["input_tokens"],
        "completion_tokens": usage["output_tokens"],
        "total_tokens": usage["total_tokens"],
    }
