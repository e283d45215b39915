import pytest
from stand_in.manner import form, styled, without_form


@pytest.mark.parametrize(
    ("instructions", "expected"),
    [
        ("", "The answer is 5."),
        ("You do sums.", "The answer is 5."),
        ('Begin every answer with "Ahoy there".', "Ahoy there The answer is 5."),
        ("Start each reply with Well", "Well The answer is 5."),
        ("Always end with \u201cover\u201d!", "The answer is 5. over"),
        ("Answer in one word.", "5"),
        ("Reply in upper case", "THE ANSWER IS 5."),
        ("Write in small letters", "the answer is 5."),
        ("In a single word, in capitals. Begin with 'so:'.", "so: 5"),
        ("Begin. Work with care.", "The answer is 5."),
    ],
)
def test_instructions_about_the_form(instructions: str, expected: str) -> None:
    assert styled("The answer is 5.", instructions) == expected


def test_nothing_in_one_word_is_nothing() -> None:
    assert styled("", "Answer in one word.") == ""


@pytest.mark.parametrize(
    ("instructions", "schema"),
    [
        ("You do sums.", None),
        ("Answer with one JSON object and nothing else.", {}),
        ('Be brief. Its JSON schema is: {"type": "integer"}. Be quick.', {"type": "integer"}),
        ("Its JSON schema is: {broken", None),
    ],
)
def test_instructions_ask_for_json(instructions: str, schema: object) -> None:
    assert form(instructions) == schema


def test_the_line_with_the_form_is_about_no_value() -> None:
    prompt = 'Say 7.\nAs JSON. Its JSON schema is: {"maximum": 9}\nPlease.'
    assert without_form(prompt) == "Say 7.\nPlease."
    assert without_form("Say 7.") == "Say 7."
