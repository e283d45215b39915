"""What becomes of dead letters and last words on their way."""

import os

import pytest

from runtime.contract.dead_letter import LAST_WORDS_BYTES, DeadLetter, LastWords
from runtime.contract.subjects import Stream

SUBJECT = "k8gentai.team.default.tasks.team.math"


@pytest.mark.parametrize(
    "letter",
    [
        pytest.param(
            DeadLetter(stream=Stream.TASKS, sequence=7, reason="malformed: x", deliveries=1),
            id="little is known",
        ),
        pytest.param(
            DeadLetter(
                stream=Stream.CALLS,
                sequence=2**40,
                reason='gave up: "größer"\r\nX-Evil: 1',
                deliveries=5,
                subject=SUBJECT,
                work="t1",
                error="back\\slash  \U0001f4a3",
                data=b"\x00\xff",
            ),
            id="everything is known",
        ),
    ],
)
def test_a_dead_letter_survives_its_headers(letter: DeadLetter) -> None:
    headers = letter.headers()

    assert DeadLetter.read(headers, letter.data) == letter
    assert all(text.isascii() and text.isprintable() for text in headers.values())


def test_a_header_has_an_end() -> None:
    letter = DeadLetter(stream=Stream.TASKS, sequence=1, reason="x" * 10**6, deliveries=1)

    assert len(letter.headers()["K8gentai-Dead-Reason"]) < 4096


@pytest.mark.parametrize(
    ("headers", "message"),
    [
        pytest.param({}, "the header K8gentai-Dead-Stream is missing", id="any message"),
        pytest.param({"K8gentai-Dead-Stream": "X"}, "'X' is not a valid Stream", id="nonsense"),
    ],
)
def test_what_is_no_dead_letter_says_why(headers: dict[str, str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        DeadLetter.read(headers, b"")


@pytest.mark.parametrize("data", [b"", b"not json", b"\xff\x00", b"{}" * 10**5])
def test_last_words_carry_the_message(data: bytes) -> None:
    words = LastWords.about("malformed: no JSON", SUBJECT, data)

    assert LastWords.heard(words.spoken()) == words
    assert words.data == data
    assert words.subject == SUBJECT


def test_last_words_are_never_larger_than_the_queue_takes() -> None:
    words = LastWords.about("malformed: no JSON", SUBJECT, os.urandom(10**6))

    assert words.data is None
    assert len(words.spoken()) < LAST_WORDS_BYTES


@pytest.mark.parametrize(
    ("text", "words", "data"),
    [
        pytest.param("unsigned", LastWords(reason="unsigned"), None, id="plain"),
        pytest.param("", LastWords(reason=""), None, id="silence"),
        pytest.param("[1]", LastWords(reason="[1]"), None, id="other json"),
        pytest.param(
            '{"reason":"r","body":"%%%"}', LastWords(reason="r", body="%%%"), None, id="garbled"
        ),
    ],
)
def test_other_last_words_are_heard_too(text: str, words: LastWords, data: bytes | None) -> None:
    assert LastWords.heard(text) == words
    assert words.data == data
