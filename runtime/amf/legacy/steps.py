"""From the streaming events of the Responses API to those of a legacy turn: no queue, no HTTP.

The Responses API tells of items: messages, calls that the server has made, calls that the client is
to make. A legacy turn tells of steps: the model says something, and which tools it calls; then the
tools are executed. So an inference step ends with the first call that the server makes after its
text, and that call is a step of its own. An id is made from the item's, so whoever tells the same
items again tells the same steps.

Source:
    llama-stack 0.3.5 and llama-stack-client 0.1.4, 0.2.23 and 0.3.5, "Agents": `Turn`, `Step`,
    `AgentTurnResponseEvent`.
"""

import json
import uuid
from collections.abc import Iterable
from datetime import UTC, datetime

from runtime.amf.items import Wire

END_OF_TURN = "end_of_turn"
END_OF_MESSAGE = "end_of_message"
OUT_OF_TOKENS = "out_of_tokens"
IDS = uuid.UUID("5d1b5cf0-5f4c-4d5a-8a39-0c3a0b1f3f6e")


class Steps:
    """The steps of one turn as they are done.

    Shape:
        done  the whole steps, in order of their ends.
    """

    def __init__(self, turn: str) -> None:
        self._turn = turn
        self.done: list[Wire] = []
        self._inference: Wire | None = None
        self._calls: dict[str, Wire] = {}
        self._begun: dict[str, str] = {}

    def take(self, frame: Wire, *, now: float) -> list[Wire]:
        """The payloads of the events that one streaming event of the Responses API becomes.

        Units:
            `now` in seconds since the epoch.
        """
        match frame["type"], frame.get("item") or {}:
            case "response.output_item.added", {"type": "message"} as item:
                return self._speaks(item["id"], now)
            case "response.output_item.added", {"type": "mcp_call"} as item:
                self._calls[item["id"]] = item
            case "response.output_text.delta", _:
                return self._says(frame["item_id"], frame["delta"], now)
            case "response.mcp_call_arguments.done", _:
                item = self._calls[frame["item_id"]] | {"arguments": frame["arguments"]}
                return self._calls_tool(item, now)
            case "response.output_item.done", {"type": "mcp_call"} as item:
                return self._returned(item, now)
            case "response.output_item.done", {"type": "function_call"} as item:
                return self._asks_client(item, now)
        return []

    def finish(self, now: float, *, stop: str = END_OF_TURN) -> list[Wire]:
        """Nothing follows: the payloads that end what was being said."""
        return self._end_inference(now, stop) if self._inference is not None else []

    @property
    def message(self) -> Wire:
        """What the turn has come to: the last thing that the model said, calls of the client in it.

        Calls that the server has made are in the steps alone: a client would make them again.
        """
        said = [step for step in self.done if step["step_type"] == "inference"]
        last = said[-1]["model_response"] if said else _message("", END_OF_TURN)
        if last["tool_calls"] and last["tool_calls"][0]["call_id"] in self._begun:
            return _message("", END_OF_TURN)
        return dict(last)

    def _speaks(self, item: str, now: float) -> list[Wire]:
        payloads = []
        if self._inference is not None:
            payloads = self._end_inference(now, END_OF_TURN)
        return payloads + self._begin_inference(item, now)

    def _says(self, item: str, text: str, now: float) -> list[Wire]:
        payloads = [] if self._inference is not None else self._begin_inference(item, now)
        return [*payloads, self._progress({"type": "text", "text": text}, text=text)]

    def _calls_tool(self, item: Wire, now: float) -> list[Wire]:
        call = call_of(item, item["id"])
        self._begun[item["id"]] = iso(now)
        return [
            *self._tells_call(item["id"], call, now),
            *self._end_inference(now, END_OF_MESSAGE),
            self._start("tool_execution", item["id"]),
        ]

    def _returned(self, item: Wire, now: float) -> list[Wire]:
        call = call_of(item, item["id"])
        answer = {
            "call_id": call["call_id"],
            "tool_name": call["tool_name"],
            "content": item.get("output") or item.get("error") or "",
            "metadata": {"status": item.get("status") or "completed"},
        }
        step = self._named("tool_execution", item["id"]) | {
            "turn_id": self._turn,
            "tool_calls": [call],
            "tool_responses": [answer],
            "started_at": self._begun.get(item["id"], iso(now)),
            "completed_at": iso(now),
        }
        return [self._complete(step)]

    def _asks_client(self, item: Wire, now: float) -> list[Wire]:
        return self._tells_call(item["id"], call_of(item, item["call_id"]), now)

    def _tells_call(self, item: str, call: Wire, now: float) -> list[Wire]:
        payloads = [] if self._inference is not None else self._begin_inference(item, now)
        delta = {"type": "tool_call", "tool_call": call, "parse_status": "succeeded"}
        return [*payloads, self._progress(delta, call=call)]

    def _begin_inference(self, item: str, now: float) -> list[Wire]:
        self._inference = self._named("inference", item) | {
            "turn_id": self._turn,
            "started_at": iso(now),
            "model_response": _message("", END_OF_TURN),
        }
        return [self._start("inference", item)]

    def _progress(self, delta: Wire, *, text: str = "", call: Wire | None = None) -> Wire:
        if self._inference is None:
            raise AssertionError("a step that was not begun goes on")
        message = self._inference["model_response"]
        message["content"] += text
        message["tool_calls"] += [] if call is None else [call]
        at = {"step_type": "inference", "step_id": self._inference["step_id"]}
        return {"event_type": "step_progress", **at, "delta": delta}

    def _end_inference(self, now: float, stop: str) -> list[Wire]:
        step, self._inference = self._inference, None
        if step is None:
            return []
        step["completed_at"] = iso(now)
        message = step["model_response"]
        message["stop_reason"] = END_OF_MESSAGE if message["tool_calls"] else stop
        return [self._complete(step)]

    def _start(self, kind: str, item: str) -> Wire:
        return {"event_type": "step_start", **self._named(kind, item), "metadata": {}}

    def _complete(self, step: Wire) -> Wire:
        self.done.append(step)
        at = {"step_type": step["step_type"], "step_id": step["step_id"]}
        return {"event_type": "step_complete", **at, "step_details": step}

    def _named(self, kind: str, item: str) -> Wire:
        return {"step_type": kind, "step_id": step_id(self._turn, kind, item)}


def steps_of(turn: str, output: Iterable[Wire], *, now: float, stop: str = END_OF_TURN) -> Steps:
    """The steps that the items of a whole response tell of."""
    steps = Steps(turn)
    for item in output:
        steps.take({"type": "response.output_item.added", "item": item}, now=now)
        if item["type"] == "message":
            said = text_of_item(item)
            at = {"item_id": item["id"], "delta": said}
            steps.take({"type": "response.output_text.delta", **at}, now=now)
        if item["type"] == "mcp_call":
            at = {"item_id": item["id"], "arguments": item["arguments"]}
            steps.take({"type": "response.mcp_call_arguments.done", **at}, now=now)
        steps.take({"type": "response.output_item.done", "item": item}, now=now)
    steps.finish(now, stop=stop)
    return steps


def text_of_item(item: Wire) -> str:
    """What a message says: its content is words, or parts with words."""
    content = item["content"]
    if isinstance(content, str):
        return content
    return "".join(part.get("text") or "" for part in content)


def call_of(item: Wire, call_id: str) -> Wire:
    """A call as old clients read it: its arguments as an object, and as the JSON they came as."""
    try:
        arguments = json.loads(item["arguments"] or "{}")
    except ValueError:
        arguments = {}
    return {
        "call_id": call_id,
        "tool_name": item["name"],
        "arguments": arguments if isinstance(arguments, dict) else {},
        "arguments_json": item["arguments"],
    }


def step_id(turn: str, kind: str, item: str) -> str:
    """The id of the step of this kind that an item tells of."""
    return str(uuid.uuid5(IDS, f"{turn} {kind} {item}"))


def iso(seconds: float) -> str:
    """A time, given in seconds since the epoch, as JSON has it (RFC 3339)."""
    return datetime.fromtimestamp(seconds, UTC).isoformat()


def _message(text: str, stop: str) -> Wire:
    return {"role": "assistant", "content": text, "stop_reason": stop, "tool_calls": []}
