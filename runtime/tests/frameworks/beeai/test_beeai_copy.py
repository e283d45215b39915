"""What the copy of an agent shares with it."""

from typing import Any

from beeai_framework.adapters.openai import OpenAIChatModel
from beeai_framework.agents.lite import LiteAgent
from beeai_framework.agents.react import ReActAgent
from beeai_framework.agents.requirement import RequirementAgent
from beeai_framework.agents.requirement.requirements.conditional import ConditionalRequirement
from beeai_framework.backend import UserMessage
from beeai_framework.memory import SlidingMemory, SlidingMemoryConfig, UnconstrainedMemory
from beeai_framework.tools import tool
from beeai_framework.tools.handoff import HandoffTool

from runtime.adapters.beeai_copy import copied

MODEL = OpenAIChatModel("m", api_key="unused", tool_choice_support={"single"})


class Mine(RequirementAgent):  # type: ignore[misc]  # BeeAI is not where types are checked
    """A kind of the user's own."""


ADD = tool(lambda a, b: a + b, name="add", description="Add two numbers.")


async def test_a_run_changes_nothing_of_the_agent_it_is_a_copy_of() -> None:
    handoff = HandoffTool(LiteAgent(llm=MODEL), name="expert", description="Knows.")
    first = ConditionalRequirement(handoff, force_at_step=1)
    agent: Any = Mine(llm=MODEL, tools=[handoff, ADD], requirements=[first])
    twin: Any = copied(agent)
    assert type(twin) is Mine
    assert twin._llm is not agent._llm
    assert twin._llm._tool_choice_support == {"single"}
    expert = twin._tools[0]
    assert expert._target.memory is not handoff._target.memory
    assert expert._target._llm is twin._llm  # one in the team, as before
    assert twin._requirements[0].source is expert
    assert first.source is handoff
    assert twin._tools[1] is ADD


async def test_a_copy_begins_with_what_the_user_had_said() -> None:
    memory = SlidingMemory(SlidingMemoryConfig(size=2))
    await memory.add(UserMessage("before"))
    agent = ReActAgent(MODEL, [], memory)
    twin = copied(agent)
    await twin.memory.add_many([UserMessage("one"), UserMessage("two")])
    assert [message.text for message in twin.memory.messages] == ["one", "two"]
    assert [message.text for message in agent.memory.messages] == ["before"]


async def test_who_listens_to_an_agent_hears_its_copies() -> None:
    heard: list[str] = []
    agent = RequirementAgent(llm=MODEL, memory=UnconstrainedMemory())
    agent.emitter.on("start", lambda _data, meta: heard.append(meta.name))
    twin = copied(agent)
    assert twin.emitter is not agent.emitter
    assert twin.emitter.creator is twin
    await twin.emitter.emit("start", None)
    assert heard == ["start"]
