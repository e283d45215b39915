import json
import random

import pytest
from model_samples import user
from stand_in.decide import Ask, Say, Wish
from stand_in.request import Call, Message, Request
from stand_in.wire import DONE, chunks, error, limited, models, reply, tokens, whole

REQUEST = Request(model="m", messages=(user("Hello"),))


def events(frames: list[bytes]) -> list[dict[str, object]]:
    assert frames[-1] == DONE
    return [json.loads(frame.removeprefix(b"data: ")) for frame in frames[:-1]]


def test_streamed_words_join_to_the_text(rng: random.Random) -> None:
    text = "".join(rng.choices(["ab", " ", "\n", "c.", "  ", "é"], k=rng.randint(0, 60)))
    made = reply(REQUEST, Say(text), b"1", 7)

    streamed = [each["choices"][0] for each in events(list(chunks(made, usage=False)))]  # type: ignore[index]  # JSON

    assert "".join(choice["delta"].get("content", "") for choice in streamed) == text
    assert [choice["finish_reason"] for choice in streamed] == [None] * (len(streamed) - 1) + [
        "stop"
    ]
    assert json.loads(whole(made))["choices"][0]["message"]["content"] == text


def test_streamed_fragments_join_to_the_arguments(rng: random.Random) -> None:
    wishes = tuple(
        Wish(f"t{i}", json.dumps({"x": "y" * rng.randint(0, 50)})) for i in range(rng.randint(1, 4))
    )
    made = reply(REQUEST, Ask(wishes), b"1", 7)
    message = json.loads(whole(made))["choices"][0]["message"]
    joined: dict[int, dict[str, str]] = {}

    for event in events(list(chunks(made, usage=False))):
        for piece in event["choices"][0]["delta"].get("tool_calls", ()):  # type: ignore[index]  # JSON
            call = joined.setdefault(piece["index"], {"arguments": ""})
            call.update({key: piece[key] for key in ("id",) if key in piece})
            call.update({"name": piece["function"]["name"]} if "name" in piece["function"] else {})
            call["arguments"] += piece["function"]["arguments"]

    assert message["content"] is None
    assert [joined[i] for i in range(len(wishes))] == [
        {"id": call["id"], **call["function"]} for call in message["tool_calls"]
    ]
    assert [(call["name"], call["arguments"]) for call in joined.values()] == [
        (wish.name, wish.arguments) for wish in wishes
    ]


def test_usage_comes_last_and_only_if_asked_for() -> None:
    made = reply(REQUEST, Say("Hi"), b"1", 7)

    plain, counted = (events(list(chunks(made, usage=usage))) for usage in (False, True))

    assert all("usage" not in event for event in plain)
    assert [event["usage"] for event in counted[:-1]] == [None] * len(plain)
    assert (counted[-1]["choices"], counted[-1]["usage"]) == ([], made.usage)


def test_tokens_are_counted_over_all_that_was_said(rng: random.Random) -> None:
    texts = ["x" * rng.randint(0, 100) for _ in range(5)]
    call = Call("c", "name", "{}")
    asked = Request(model="m", messages=(*map(user, texts), Message("assistant", "", (call,))))

    usage = reply(asked, Say("12345"), b"1", 7).usage

    prompt = sum(4 + -(-len(text) // 4) for text in texts) + 4 + 1 + 1
    assert usage == {
        "prompt_tokens": prompt, "completion_tokens": 2, "total_tokens": prompt + 2,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("stop", "limit", "expected"),
    [
        ((), None, ("one two three", "stop")),
        ((), 4, ("one two three", "stop")),
        ((), 3, ("one two thre", "length")),
        ((" three", " two"), None, ("one", "stop")),
        (("",), 1, ("one ", "length")),
        ((" two",), 1, ("one", "stop")),
    ],
)
def test_limits(stop: tuple[str, ...], limit: int | None, expected: tuple[str, str]) -> None:
    assert limited("one two three", stop, limit) == expected


def test_ids_are_of_the_request() -> None:
    ask = Ask((Wish("a", "{}"), Wish("a", "{}")))
    first, again, other = (
        json.loads(whole(reply(REQUEST, ask, raw, 7))) for raw in (b"1", b"1", b"2")
    )

    ids = [
        call["id"]
        for made in (first, other)
        for call in made["choices"][0]["message"]["tool_calls"]
    ]
    assert first == again
    assert len({first["id"], other["id"], *ids}) == 6
    assert first["system_fingerprint"] == "stand-in"


def test_tokens_begin_every_four_characters() -> None:
    assert [tokens("x" * n) for n in (0, 1, 4, 5, 8)] == [0, 1, 1, 2, 2]


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, "invalid_request_error"),
        (401, "authentication_error"),
        (405, "invalid_request_error"),
        (429, "rate_limit_error"),
        (500, "server_error"),
        (503, "server_error"),
    ],
)
def test_errors(status: int, kind: str) -> None:
    assert json.loads(error(status, "No.", "model")) == {
        "error": {"message": "No.", "type": kind, "param": "model", "code": None}
    }


def test_the_list_of_models() -> None:
    assert [each["id"] for each in json.loads(models(("a", "b"), 7))["data"]] == ["a", "b"]
