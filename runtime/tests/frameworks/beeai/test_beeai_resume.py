"""Runs of BeeAI that begin again with the answers which their models gave before."""

import pytest

from runtime.contract.agent_config import Framework
from runtime.tests.agents import Config, answer
from runtime.tests.frameworks.beeai.marks import MARKS
from runtime.tests.resuming import Attempts, ResumeContract, attempts, listened

__all__ = ["attempts"]  # a fixture

pytestmark = MARKS


class TestInstructed(ResumeContract):
    framework = Framework.BEEAI


OWN = """
    import os
    from beeai_framework.adapters.openai import OpenAIChatModel
    from beeai_framework.agents.lite import LiteAgent
    from beeai_framework.agents.requirement import RequirementAgent
    from beeai_framework.cache import UnconstrainedCache

    def model(**facts):
        return OpenAIChatModel(
            "stand-in",
            base_url=os.environ["OPENAI_BASE_URL"],
            api_key="canary",
            settings={"extra_headers": {"Authorization": "Bearer canary"}},
            tool_choice_support={"required", "single", "none", "auto"},
            **facts,
        )

    def requirement(context):
        return RequirementAgent(llm=model(), tools=context.tools)

    def lite(context):
        return LiteAgent(llm=model(), tools=context.tools)

    def cached(context):
        return RequirementAgent(llm=model(cache=UnconstrainedCache()), tools=context.tools)
"""


@pytest.mark.parametrize("entrypoint", ["requirement", "lite", "cached"])
@pytest.mark.parametrize("stream", [False, True])
async def test_a_users_own_model_is_not_asked_again(
    config: Config,
    model_url: str,
    monkeypatch: pytest.MonkeyPatch,
    entrypoint: str,
    stream: bool,  # a parameter of the table
) -> None:
    async with listened(model_url) as proxy:
        monkeypatch.setenv("OPENAI_BASE_URL", proxy.url)
        agent = config(OWN, entrypoint, framework=Framework.BEEAI, url=proxy.url)
        place = Attempts(agent, proxy, stream=stream)
        await place.cut(calls=2)
        kept = await place.kept()
        assert kept is not None
        assert b"canary" not in kept
        assert "6" in answer(await place.whole())
    assert len(place.effects) == 2
    assert len(place.questions) == len(set(place.questions)) == 3
