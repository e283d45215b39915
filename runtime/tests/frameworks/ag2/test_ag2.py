"""AG2 agents from instructions, on the real framework and a model that reads."""

import re
from dataclasses import replace
from functools import partial

import pytest

from runtime.adapters.port import ModelFailure
from runtime.contract.agent_config import Framework
from runtime.contract.messages import Message, Role
from runtime.tests.agents import ON_A_MODEL, SPEC, Config, answer, asking, function, run
from runtime.tests.completions_contract import SAID, CompletionsContract
from runtime.tests.scripted_model import calling, saying, scripted

pytestmark = ON_A_MODEL


class TestInstructed(CompletionsContract):
    framework = Framework.AG2
    prompt = (("system", r"You do sums\.\nBe {{brief}}\."), ("user", re.escape(SAID)))
    broke_off = "the model m broke off"


@pytest.fixture
def instructed(config: Config) -> Config:
    """The configuration of an agent that AG2 makes from instructions."""
    return partial(config, framework=Framework.AG2)


@pytest.mark.parametrize(
    ("said", "heard"),
    [
        pytest.param(["user", "user"], ["user", "user"], id="two messages at once"),
        pytest.param(["user", "assistant"], ["user", "assistant"], id="the last word"),
        pytest.param(["system"], [], id="nothing but a system message"),
    ],
)
async def test_any_input_is_answered(instructed: Config, said: list[str], heard: list[str]) -> None:
    messages = tuple(Message(role=Role(role), text=f"{role}!") for role in said)
    async with scripted(saying("42")) as model:
        steps = await run(instructed(url=model.url), replace(asking(), input=messages))
    assert answer(steps) == "42"
    (body,) = model.requests
    assert [message["role"] for message in body["messages"]] == ["system", *heard]


@pytest.mark.parametrize("arguments", ["{", "[1, 2]"])
async def test_arguments_that_are_no_object_end_the_run(instructed: Config, arguments: str) -> None:
    async with scripted(calling(("add", arguments))) as model:
        with pytest.raises(ModelFailure) as caught:
            await run(instructed(url=model.url), asking("?", function()), (SPEC,))
    said = f"the model scripted called add with what is no object: {arguments}"
    assert str(caught.value) == said
