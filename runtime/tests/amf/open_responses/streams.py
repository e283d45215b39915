"""A stream of Open Responses, read as strictly as the specification is written.

Source:
    openresponses.org, "Specification", "Streaming HTTP Responses" and "Items are streamable".
"""

from collections.abc import Iterator, Sequence

from runtime.tests.amf.open_responses.shapes import (
    STREAMING_EVENT,
    ErrorEvent,
    Item,
    ItemEvent,
    Message,
    OutputText,
    PartEvent,
    Placed,
    Response,
    ResponseEvent,
    StreamingEvent,
    TextDelta,
    TextDone,
)

ENDS = {"response.completed", "response.failed", "response.incomplete"}


def read(body: str) -> list[StreamingEvent]:
    """The events of a stream, each of a shape that the specification has."""
    return [_event(block) for block in body.removesuffix("\n\n").split("\n\n")]


def final_response(events: Sequence[StreamingEvent]) -> Response:
    """The response as the last event has it, once everything before it was in order."""
    check_order(events)
    last = events[-1]
    assert isinstance(last, ResponseEvent)
    return last.response


def check_order(events: Sequence[StreamingEvent]) -> None:
    """See that the response and each of its items go through their states in order."""
    numbers = [event.sequence_number for event in events]
    assert numbers == sorted(set(numbers))
    first, *_, last = events
    assert first.type in {"response.created", "response.queued"}
    assert [event.type for event in events if event.type in ENDS] == [last.type]
    assert not any(isinstance(event, ErrorEvent) for event in events)
    assert isinstance(last, ResponseEvent)
    added = [event for event in events if event.type == "response.output_item.added"]
    indices = [event.output_index for event in added]
    assert indices == list(range(len(added)))
    assert [_finished(events, index) for index in indices] == last.response.output


def _finished(events: Sequence[StreamingEvent], index: int) -> Item:
    """The item of this index at its end, once it has gone through its states."""
    told = [
        event
        for event in events
        if isinstance(event, ItemEvent | Placed) and event.output_index == index
    ]
    begin, *between, end = told
    assert isinstance(begin, ItemEvent)
    assert isinstance(end, ItemEvent)
    assert (begin.type, end.type) == ("response.output_item.added", "response.output_item.done")
    assert begin.item is not None
    assert end.item is not None
    assert begin.item.id == end.item.id
    assert {one.item_id for one in between if isinstance(one, Placed)} <= {end.item.id}
    if isinstance(end.item, Message):
        assert isinstance(begin.item, Message)
        assert (begin.item.status, begin.item.role) == ("in_progress", end.item.role)
        assert list(_parts(between)) == end.item.content
    return end.item


def _parts(between: Sequence[StreamingEvent]) -> Iterator[OutputText]:
    """The content parts of a message: each opened, said piece by piece, said whole, closed."""
    said: list[str] = []
    for before, event in zip([None, *between], between, strict=False):
        match event:
            case PartEvent(type="response.content_part.added", part=OutputText(text=text)):
                assert (text, said) == ("", [])
            case TextDelta(delta=delta):
                assert isinstance(before, PartEvent | TextDelta)
                said.append(delta)
            case TextDone(text=text):
                assert text == "".join(said)
            case PartEvent(type="response.content_part.done", part=OutputText() as part):
                assert isinstance(before, TextDone)
                assert part.text == before.text
                said = []
                yield part
            case _:
                raise AssertionError(f"{event} is nothing that a message goes through")
    assert said == []


def _event(block: str) -> StreamingEvent:
    name, data = block.split("\n")
    event = STREAMING_EVENT.validate_json(data.removeprefix("data: "))
    assert name == f"event: {event.type}"
    return event
