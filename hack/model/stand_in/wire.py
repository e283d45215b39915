"""Answers in the shapes of the OpenAI API: whole, as chunks, and as errors.

Source:
    OpenAI API reference, "Create chat completion", "The chat completion chunk object", "Errors".
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from hashlib import blake2b

import orjson

from stand_in.decide import Answer, Say, Wish
from stand_in.request import Message, Request

FINGERPRINT = "stand-in"
DONE = b"data: [DONE]\n\n"
TOKEN_CHARACTERS = 4
MESSAGE_TOKENS = 4  # what a message costs beside its text
FRAGMENT_CHARACTERS = 8  # of the arguments, in a stream
ERROR_TYPES = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    429: "rate_limit_error",
}
_WORD = re.compile(r"\s*\S+|\s+$")


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer with what the wire adds to it.

    Shape:
        key      hex digits that ids begin with; a digest of the request's body.
        finish   "stop", "length" or "tool_calls".
        usage    prompt_tokens, completion_tokens, total_tokens.

    Units:
        `created` is seconds since the epoch.
    """

    key: str
    model: str
    created: int
    text: str
    wishes: tuple[Wish, ...]
    finish: str
    usage: Mapping[str, int]


def reply(request: Request, answer: Answer, raw: bytes, created: int) -> Reply:
    """`answer` to `request`, whose body is `raw`: the same ids for the same body."""
    key = blake2b(raw, digest_size=8).hexdigest()
    if isinstance(answer, Say):
        text, finish = limited(answer.text, request.stop, request.limit)
        wishes: tuple[Wish, ...] = ()
    else:
        text, finish, wishes = "", "tool_calls", answer.wishes
    asked = sum(map(_message_tokens, request.messages))
    given = tokens(text) + sum(tokens(wish.name) + tokens(wish.arguments) for wish in wishes)
    usage = {"prompt_tokens": asked, "completion_tokens": given, "total_tokens": asked + given}
    return Reply(key, request.model, created, text, wishes, finish, usage)


def limited(text: str, stop: Iterable[str], limit: int | None) -> tuple[str, str]:
    """The text up to the first stop sequence and `limit` tokens, and why it ends there."""
    ends = [at for sequence in stop if sequence and (at := text.find(sequence)) >= 0]
    text = text[: min(ends)] if ends else text
    if limit is None or tokens(text) <= limit:
        return text, "stop"
    return text[: limit * TOKEN_CHARACTERS], "length"


def tokens(text: str) -> int:
    """How many tokens a text counts as: one for every four characters begun."""
    return -(-len(text) // TOKEN_CHARACTERS)


def _message_tokens(message: Message) -> int:
    calls = sum(tokens(call.name) + tokens(call.arguments) for call in message.calls)
    return MESSAGE_TOKENS + tokens(message.text) + calls


def whole(made: Reply) -> bytes:
    """The body of a chat completion."""
    message: dict[str, object] = {"role": "assistant", "content": made.text, "refusal": None}
    if made.wishes:
        calls = [_call(made, i, wish.arguments) for i, wish in enumerate(made.wishes)]
        message |= {"content": None, "tool_calls": calls}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": made.finish}
    return orjson.dumps(_head(made, "chat.completion", [choice]) | {"usage": made.usage})


def chunks(made: Reply, *, usage: bool) -> Iterator[bytes]:
    """The server-sent events of a streamed completion: word by word, calls in fragments.

    With `usage` each chunk has the field, null in all but the last, which has no choices.
    """
    none = {"usage": None} if usage else {}
    for delta in _deltas(made):
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": None}
        yield _event(_head(made, "chat.completion.chunk", [choice]) | none)
    choice = {"index": 0, "delta": {}, "logprobs": None, "finish_reason": made.finish}
    yield _event(_head(made, "chat.completion.chunk", [choice]) | none)
    if usage:
        yield _event(_head(made, "chat.completion.chunk", []) | {"usage": made.usage})
    yield DONE


def _deltas(made: Reply) -> Iterator[dict[str, object]]:
    yield {"role": "assistant", "content": None if made.wishes else ""}
    for word in _WORD.findall(made.text):
        yield {"content": word}
    for i, wish in enumerate(made.wishes):
        yield {"tool_calls": [{"index": i, **_call(made, i, "")}]}
        for at in range(0, len(wish.arguments), FRAGMENT_CHARACTERS):
            fragment = wish.arguments[at : at + FRAGMENT_CHARACTERS]
            yield {"tool_calls": [{"index": i, "function": {"arguments": fragment}}]}


def _call(made: Reply, i: int, arguments: str) -> dict[str, object]:
    function = {"name": made.wishes[i].name, "arguments": arguments}
    return {"id": f"call_{made.key}_{i}", "type": "function", "function": function}


def _head(made: Reply, kind: str, choices: list[dict[str, object]]) -> dict[str, object]:
    return {
        "id": f"chatcmpl-{made.key}",
        "object": kind,
        "created": made.created,
        "model": made.model,
        "system_fingerprint": FINGERPRINT,
        "choices": choices,
    }


def _event(value: Mapping[str, object]) -> bytes:
    return b"data: " + orjson.dumps(value) + b"\n\n"


def models(names: Iterable[str], created: int) -> bytes:
    """The body of the list of models."""
    return orjson.dumps({"object": "list", "data": [_model(name, created) for name in names]})


def model(name: str, created: int) -> bytes:
    """The body of one model."""
    return orjson.dumps(_model(name, created))


def _model(name: str, created: int) -> dict[str, object]:
    return {"id": name, "object": "model", "created": created, "owned_by": FINGERPRINT}


def error(status: int, message: str, param: str | None = None) -> bytes:
    """The body of an error."""
    kind = ERROR_TYPES.get(status, "invalid_request_error" if status < 500 else "server_error")
    said = {"message": message, "type": kind, "param": param, "code": None}
    return orjson.dumps({"error": said})
