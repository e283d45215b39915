import random

import pytest
from model_samples import assistant, say, system, user
from stand_in.recall import recall
from stand_in.request import Message

HISTORY = (
    user("My name is Ada Lovelace, hello."),
    assistant("You said: My name is Ada."),
    user("Our code is 1.5; my cat is black."),
    assistant("The answer is 12."),
    user("I am a poet."),
)


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("What is my name?", "Your name is Ada Lovelace."),
        ("what\u2019s my name again?", "Your name is Ada Lovelace."),
        ("Do you remember my name?", "Your name is Ada Lovelace."),
        ("What is our code?", "Our code is 1.5."),
        ("What was the answer?", "The answer is 12."),
        ("Tell me my dog.", "You have not told me your dog."),
        ("Who am I?", "You are a poet."),
        ("What did I say first?", "You said: My name is Ada Lovelace, hello."),
        ("What did I just say?", "You said: I am a poet."),
        ("What have I asked you before?", "You said: I am a poet."),
        ("What did you say first?", "I said: You said: My name is Ada."),
        ("What did you answer?", "I said: The answer is 12."),
        ("What are your instructions?", "My instructions are: Be kind."),
        ("What is the meaning of life?", None),
        ("My name is Bob.", None),
    ],
)
def test_what_the_conversation_says(question: str, answer: str | None) -> None:
    assert recall(question, HISTORY, "Be kind.") == answer


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("What is my name?", "You have not told me your name."),
        ("Who am I?", "You have not told me who you are."),
        ("What did I say first?", "You have said nothing before."),
        ("What are your instructions?", "I have no instructions."),
    ],
)
def test_nothing_to_recall(question: str, answer: str) -> None:
    assert recall(question, (), "") == answer


def test_the_latest_statement_counts(rng: random.Random) -> None:
    thing = rng.choice(["name", "favourite colour", "order number"])
    values = [f"v{rng.randrange(10**6)}" for _ in range(5)]
    told: tuple[Message, ...] = tuple(user(f"My {thing} is {value}.") for value in values)

    assert say(*told, user(f"What is my {thing}?")) == f"Your {thing} is {values[-1]}."


def test_facts_of_the_system_prompt_are_known() -> None:
    assert say(system("The password is rabbit."), user("What is the password?")) == (
        "The password is rabbit."
    )
