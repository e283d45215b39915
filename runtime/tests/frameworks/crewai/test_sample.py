"""The sample of a CrewAI crew, with the code of its Tool, on a model that reads."""

from pathlib import Path

import pytest

from runtime.tests.agents import Config, answer
from runtime.tests.frameworks.crewai.marks import MARKS
from runtime.tests.samples import sample

pytestmark = MARKS


@pytest.mark.parametrize(
    ("letter", "said"),
    [
        ("Do you have a desk in stock?", "desk: 2 in stock, 240.00 EUR each"),
        ("Is the chair in stock?", "chair: sold out, back in two weeks, 89.00 EUR each"),
    ],
)
async def test_the_letter_holds_what_the_clerk_has_found(
    config: Config, model_url: str, tmp_path: Path, letter: str, said: str
) -> None:
    letters = sample("crewai", config(url=model_url), tmp_path)
    assert said in answer(await letters.run(letter, stream=True))
    assert len(letters.calls) == 1
