import random

import pytest
from stand_in.reading import READ_CHARACTERS, Kind, read


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        pytest.param("2 and 3", [2, 3], id="integers"),
        pytest.param("-2, 3", [-2, 3], id="a sign belongs to its number"),
        pytest.param("5 - -3", [5, -3], id="after an operator a minus is a sign"),
        pytest.param("5 -3", [5, 3], id="after a number a minus is an operator"),
        pytest.param("(2)-3", [2, 3], id="after a bracket too"),
        pytest.param("\u22127", [-7], id="the typographic minus"),
        pytest.param("1.5 and .25", [1.5, 0.25], id="decimals"),
        pytest.param("It is 5.", [5], id="a full stop is no decimal point"),
        pytest.param("1,000 or 1,234,567.5", [1000, 1234567.5], id="thousands"),
        pytest.param("2,3", [2, 3], id="a comma without three digits separates"),
        pytest.param("2e3 1E-2", [2000.0, 0.01], id="exponents"),
        pytest.param("on 2026-11-03 at 12:30, version 1.2.3", [], id="dates, times, versions"),
        pytest.param("x2, 3D, agent-7", [], id="words with digits"),
        pytest.param("'7' and \"8\"", [], id="what is quoted is no number"),
    ],
)
def test_numbers(text: str, numbers: list[float]) -> None:
    read_numbers = [token.value for token in read(text) if token.kind is Kind.NUMBER]

    assert read_numbers == numbers
    assert [type(each) for each in read_numbers] == [type(each) for each in numbers]


@pytest.mark.parametrize(
    ("text", "quoted"),
    [
        pytest.param("say \"a b\" and 'c'", ["a b", "c"], id="double and single"),
        pytest.param("what's up, it's 'fine'", ["fine"], id="an apostrophe is no quote"),
        pytest.param("\u201ccurly\u201d and `code`", ["curly", "code"], id="typographic and code"),
        pytest.param('an "open end', [], id="an open quote is no quotation"),
    ],
)
def test_quotations(text: str, quoted: list[str]) -> None:
    assert [token.text for token in read(text) if token.kind is Kind.QUOTED] == quoted


@pytest.mark.parametrize(
    ("text", "signs"),
    [
        pytest.param("2+3-4*5/6", ["+", "-", "*", "/"], id="signs"),
        pytest.param("2 \u00d7 3 \u00f7 4", ["*", "/"], id="typographic signs"),
        pytest.param("2 plus 3 minus 4 times 5 over 6", ["+", "-", "*", "/"], id="words"),
        pytest.param("2 multiplied by 3 divided by 4", ["*", "/"], id="two words"),
        pytest.param("how many times x", [], id="the same words elsewhere"),
        pytest.param("the result times (2)", ["*"], id="the result is an operand"),
    ],
)
def test_operators(text: str, signs: list[str]) -> None:
    assert [token.text for token in read(text) if token.kind is Kind.OPERATOR] == signs


def test_sentences_end_but_not_within_words() -> None:
    ends = [token.start for token in read("Go to a.b.txt. Now!\nYes") if token.kind is Kind.BREAK]

    assert ends == [13, 18, 19]


def test_positions_point_into_the_text(rng: random.Random) -> None:
    words = [
        "Ada",
        "12",
        "-4.5",
        "\u201cx y\u201d",
        "plus",
        "2026-01-01",
        "it\u2019s",
        "(",
        "3",
        ")",
    ]
    text = " ".join(rng.choices(words, k=40))

    for token in read(text):
        said = text[token.start : token.end].lower().replace("\u2019", "'")
        assert token.text in said or token.kind is Kind.OPERATOR


def test_what_lies_far_behind_is_not_read() -> None:
    assert len(read("1 " * READ_CHARACTERS)) == READ_CHARACTERS / 2
