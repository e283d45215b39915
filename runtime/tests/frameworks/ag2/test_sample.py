"""The sample of an AG2 agent, with the code of its Tool, on a model that reads."""

from pathlib import Path

import pytest

from runtime.tests.agents import ON_A_MODEL, Config, answer
from runtime.tests.samples import sample

pytestmark = ON_A_MODEL


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("Check a hotel for 150 USD", "approved: the hotel is 138.00 EUR"),
        ("Check a taxi expense of 75 EUR", "over the limit by 15.00 EUR"),
        (
            "Divide the bill of 480 for 4 nights, then check the result as a hotel expense in GBP.",
            "over the limit by 0.40 EUR: the hotel is 140.40 EUR",
        ),
        ("What is the price per night for a total of 480 and 4 nights?", "120.0"),
    ],
)
async def test_expenses_are_checked(
    config: Config, model_url: str, tmp_path: Path, words: str, said: str
) -> None:
    expenses = sample("ag2", config(url=model_url), tmp_path)
    assert said in answer(await expenses.run(words))
