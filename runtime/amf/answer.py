"""From the events of a run to the answer of the Responses API: no queue, no clock, no HTTP.

Source:
    OpenAI API reference, "The response object" and "Streaming events".
"""

import json
import re
from collections.abc import Iterable
from typing import Any

from runtime.amf.items import ApprovalItem, CallItem, FunctionItem, Item, TextItem, Wire
from runtime.amf.replay import Differs, GoesOn, Repeats, Replay
from runtime.amf.usage import NOTHING, since, usage_wire
from runtime.contract.messages import (
    AgentCalled,
    ApprovalNeeded,
    Cancelled,
    Completed,
    End,
    Event,
    Failed,
    FailureReason,
    Outcome,
    OutputNeeded,
    Started,
    TextDelta,
    TokenUsage,
    ToolCalled,
    ToolReturned,
    UsageReported,
)

CANCELLED = "cancelled"


class Answer:
    """The answer to one request as it grows.

    Shape:
        response  the response object with everything but status, output, error and usage; it is
                  taken over, so give a new one to each answer.
        frames    the streaming events that were not taken yet. Without `streaming` there are none.
        decided   the approvals that nobody needs to see any more, by number.
        part      which response of the run it is: with each handover to the client one ends and
                  the next begins. What belongs to earlier ones is taken in, and not told.

    The events are numbered from 0, and the same events of a run always make the same numbers. A gap
    in them is where an approval was asked for that is decided by now: its numbers stay its own.
    """

    def __init__(
        self,
        response: Wire,
        *,
        task: str,
        streaming: bool = False,
        decided: Iterable[int] = (),
        part: int = 0,
    ) -> None:
        self._response = response
        self._task = task
        self._told = part
        self._part = 0
        self._start = 0
        self._handed: set[int] = set()
        self._before = NOTHING
        self._streaming = streaming
        self._frames: list[Wire] = []
        self._number = 0
        self._items: list[Item] = []
        self._calls: dict[str, CallItem] = {}
        self._decided = frozenset(decided)
        self._asked: set[int] = set()
        self._is_asking = False
        self._replay: Replay | None = None
        self._used = NOTHING
        self._attempt = 0
        self._now = 0.0

    def begin(self, status: str) -> None:
        """Announce the response: it is `queued` or `in_progress`."""
        self._response["status"] = status
        for kind in ("created",) if status == "queued" else ("created", "in_progress"):
            if self._streaming:
                self._write(f"response.{kind}", response=self.response)

    def take(self, events: Iterable[Event], *, now: float) -> None:
        """What has happened, in order; how much of it comes at a time makes no difference.

        Units:
            `now` in seconds since the epoch: when the run ended, if one of them is its end.
        """
        self._now = now
        for event in events:
            self._step(event)

    def pause(self, *, now: float) -> None:
        """The run waits for people: this is the response to what was asked so far.

        Of a run that waits for its client nothing is left to tell: that ends a response.

        Units:
            `now` in seconds since the epoch.
        """
        if not self._is_told:
            return
        self._break_off()
        self._response["completed_at"] = int(now)
        self._finish("completed", self._used)

    def frames(self) -> list[Wire]:
        """The streaming events since the last time."""
        frames, self._frames = self._frames, []
        return frames

    def error(self, kind: str, code: str | None, message: str) -> None:
        """Nothing more will be known, whatever became of the run.

        OpenAI has the fields in the event itself, Open Responses below `error`, where the clients'
        libraries look for what they raise.
        """
        fields = {"code": code, "message": message, "param": None}
        if self._streaming:
            self._write("error", **fields, error={"type": kind, **fields})

    @property
    def response(self) -> Wire:
        """The response object as it stands."""
        of_part = self._items[self._start :] if self._part >= self._told else []
        shown = (item for item in of_part if not item.superseded)
        return self._response | {"output": [item.wire() for item in shown]}

    @property
    def _is_told(self) -> bool:
        """Whether what happens now belongs to this response."""
        return self._part == self._told

    def _step(self, event: Event) -> None:
        if self._part > self._told:
            return
        if isinstance(event, Started) or event.attempt > self._attempt:
            self._begin_attempt(event.attempt)
        match event:
            case TextDelta(text=text):
                self._say(text)
            case ToolCalled(call=call, tool=name, arguments=arguments):
                self._called(call, name, arguments)
            case AgentCalled(call=call, agent=name, input=said):
                self._called(call, name, json.dumps({"input": said}, ensure_ascii=False))
            case ToolReturned():
                self._returned(event)
            case ApprovalNeeded():
                self._needs(event)
            case OutputNeeded():
                self._hand_over(event)
            case UsageReported(usage=usage):
                self._used += usage
            case Completed() | Failed() | Cancelled():
                self._end(event)
            case _:  # steps that the Responses API has no shape for
                pass

    def _begin_attempt(self, attempt: int) -> None:
        self._attempt = attempt
        if self._is_asking:
            self._pass_pause()
        if self._items:
            self._replay = Replay(self._items)
        self._used = NOTHING
        if self._is_told and self._response["status"] == "queued":
            self._response["status"] = "in_progress"
            self._tell("response.in_progress")

    def _pass_pause(self) -> None:
        """Leave out the numbers with which `pause` told the response to what was asked."""
        self._is_asking = False
        open_calls = sum(item.is_open for item in self._calls.values())
        self._leave_out(open_calls * CallItem.CLOSING_EVENTS + 1)

    def _leave_out(self, numbers: int) -> None:
        if self._is_told:
            self._number += numbers

    def _say(self, text: str) -> None:
        if not text:
            return
        if self._replay is None:
            self._add(text)
            return
        match self._replay.read(text):
            case GoesOn(item, rest):
                self._replay = None
                item.add(rest, self._emit)
            case Differs(other):
                self._differ(other)
            case Repeats():
                pass

    def _differ(self, text: str) -> None:
        """A later attempt says something else: what it did not repeat is left as it is."""
        self._replay = None
        self._supersede()
        self._add(text)

    def _finish_text(self) -> None:
        """A message is at its end: something else comes."""
        self._settle()
        if self._replay is None and (item := self._open_text()):
            item.close(self._emit)

    def _settle(self) -> None:
        """Decide on the text that was held back: it does not go on."""
        if self._replay is None:
            return
        match self._replay.finish():
            case Differs(other):
                self._differ(other)
            case Repeats(item):
                if item is not None and item.is_open:
                    item.close(self._emit)
                self._end_replay()
            case GoesOn():
                raise AssertionError("what is at its end does not go on")

    def _end_replay(self) -> None:
        if self._replay is not None and self._replay.is_over:
            self._replay = None

    def _called(self, call: str, name: str, arguments: str) -> None:
        self._finish_text()
        if (known := self._calls.get(call)) is not None:
            self._pass(known)
            return
        self._replay = None
        self._supersede()
        item = CallItem(
            f"mcp_{self._task}_{len(self._items)}", len(self._items), call, name, arguments
        )
        self._items.append(item)
        self._calls[call] = item
        item.open(self._emit)

    def _needs(self, event: ApprovalNeeded) -> None:
        """A call needs a person; the run record tells again what an event has told."""
        self._finish_text()
        if event.number in self._asked:
            return
        self._asked.add(event.number)
        self._is_asking = event.left == 0
        self._replay = None
        self._supersede()
        if event.number in self._decided:
            self._leave_out(ApprovalItem.EVENTS)
            return
        item = ApprovalItem(
            self._task, event.number, len(self._items), event.call, event.tool, event.arguments
        )
        self._items.append(item)
        item.open(self._emit)

    def _hand_over(self, event: OutputNeeded) -> None:
        """A call is the client's to make; the run record tells again what an event has told."""
        self._finish_text()
        if event.number in self._handed:
            return
        self._handed.add(event.number)
        self._replay = None
        self._supersede()
        at = (self._task, event.number, len(self._items))
        self._items.append(item := FunctionItem(*at, event.function, event.arguments))
        item.open(self._emit)
        if event.left == 0:
            self._end_part(event.used)

    def _end_part(self, used: TokenUsage) -> None:
        """This response has ended, and the run goes on in another one."""
        self._break_off()
        # What tools were cut off in is made again then, and told there.
        self._calls = {k: item for k, item in self._calls.items() if item.status != "incomplete"}
        if self._is_told:
            self._response["completed_at"] = int(self._now)
            self._finish("completed", used)
        else:
            self._start, self._before = len(self._items), used
        self._part += 1

    def _pass(self, known: CallItem) -> None:
        """The attempt has come to a call that is shown already."""
        if self._replay is not None:
            self._replay.passes(known)
            self._end_replay()

    def _returned(self, event: ToolReturned) -> None:
        if event.call not in self._calls:
            self._called(event.call, event.tool, "{}")
        item = self._calls[event.call]
        if not item.is_open:
            return
        if event.outcome is Outcome.SUCCEEDED:
            item.succeed(event.output, self._emit)
        else:
            item.fail(event.output, self._emit)

    def _end(self, end: End) -> None:
        match end:
            case Completed(text=text, usage=usage):
                self._complete(text)
                self._close_calls()
                self._response["completed_at"] = int(self._now)
                self._finish("completed", usage)
            case Failed(reason=reason, message=message):
                self._break_off()
                self._response["error"] = {"code": code_of(reason), "message": message}
                self._finish("failed", self._used)
            case Cancelled():
                self._break_off()
                self._finish(CANCELLED, self._used)

    def _complete(self, text: str) -> None:
        """Say what is missing of the whole answer, whose last message the client may know."""
        if self._replay is not None:
            self._say(self._replay.rest_of(text))
        self._settle()
        self._replay = None
        item = self._open_text()
        said = "".join(one.text for one in self._texts() if not one.superseded)
        if item is not None and text.startswith(item.text):
            self._add(text[len(item.text) :])
        elif text.startswith(said):
            self._add(text[len(said) :])
        elif not self._ends_with(text):
            self._supersede()
            self._add(text)
        self._finish_text()

    def _ends_with(self, text: str) -> bool:
        """Whether the last thing that was shown is this message."""
        last = self._items[-1]
        return isinstance(last, TextItem) and not last.superseded and last.text == text

    def _break_off(self) -> None:
        if item := self._open_text():
            item.close(self._emit, "incomplete")
        self._close_calls()

    def _close_calls(self) -> None:
        for item in self._calls.values():
            if item.is_open:
                item.break_off(self._emit)

    def _finish(self, status: str, usage: TokenUsage) -> None:
        self._response["status"] = status
        self._response["usage"] = usage_wire(since(usage, self._before))
        # There is no event for a cancelled response; of the three ends it is the incomplete one.
        self._tell(f"response.{'incomplete' if status == CANCELLED else status}")

    def _supersede(self) -> None:
        if item := self._open_text():
            item.superseded = True
            item.close(self._emit, "incomplete")

    def _add(self, text: str) -> None:
        if not text:
            return
        item = self._open_text()
        if item is None:
            item = TextItem(f"msg_{self._task}_{len(self._items)}", len(self._items))
            self._items.append(item)
            item.open(self._emit)
        item.add(text, self._emit)

    def _texts(self) -> list[TextItem]:
        return [item for item in self._items[self._start :] if isinstance(item, TextItem)]

    def _open_text(self) -> TextItem | None:
        last = self._items[-1] if self._items else None
        return last if isinstance(last, TextItem) and last.is_open else None

    def _tell(self, kind: str) -> None:
        self._emit(kind, response=self.response if self._streaming else None)

    def _emit(self, kind: str, **fields: Any) -> None:
        if self._streaming and self._is_told:
            self._write(kind, **fields)

    def _write(self, kind: str, **fields: Any) -> None:
        if "output_index" in fields:
            fields["output_index"] -= self._start
        if "item" in fields or "part" in fields:  # llama-stack wants it there, OpenAI nowhere
            fields["response_id"] = self._response["id"]
        self._frames.append({"type": kind, "sequence_number": self._number} | fields)
        self._number += 1


def code_of(reason: FailureReason) -> str:
    """The code of an error that a client may look for: `TimedOut` is `timed_out`."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", reason).lower()
