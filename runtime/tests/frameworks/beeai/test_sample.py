"""The sample of a BeeAI agent, with the code of its Tool, on a model that reads."""

from pathlib import Path

import pytest

from runtime.tests.agents import Config, answer, text
from runtime.tests.frameworks.beeai.marks import MARKS
from runtime.tests.samples import sample

pytestmark = MARKS


@pytest.mark.parametrize(
    ("words", "looked_up", "said"),
    [
        ("Look up the trout", ["trout"], "the trout is 19.00 EUR, with fish, almonds"),
        ("Is there milk in the pasta dish?", ["pasta"], "13.00 EUR, with wheat, egg, milk"),
        (
            "Look up the soup, then split a bill of 60 among 4 guests.",
            ["soup"],
            "15.00 EUR for each",
        ),
    ],
)
async def test_a_dish_is_looked_up_before_anything_is_said(
    config: Config, model_url: str, tmp_path: Path, words: str, looked_up: list[str], said: str
) -> None:
    waiter = sample("beeai", config(url=model_url), tmp_path)
    steps = await waiter.run(words, stream=True)
    assert said in answer(steps)
    assert text(steps) == answer(steps)
    assert [call["dish"] for call in waiter.calls] == looked_up
