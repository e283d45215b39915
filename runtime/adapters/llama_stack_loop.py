"""The turns of an agent over the Responses API, from the model to its tools and back.

The server keeps nothing: each turn sends all that was said. So what was said is all that an attempt
has to know of the one before.

Source:
    OpenAI API reference, "Create a model response" and "Function calling".
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from llama_stack_client import AsyncLlamaStackClient
from llama_stack_client.lib.agents.agent import AsyncAgent, ToolUtils
from llama_stack_client.lib.agents.client_tool import ClientTool
from llama_stack_client.lib.agents.types import CompletionMessage, ToolCall

from runtime.adapters.port import AgentFailure, Answer, ModelFailure, Run, Step, Text, Used
from runtime.adapters.progress import Checkpointer, Json, made_of
from runtime.adapters.scope import Scope
from runtime.contract.agent_config import AgentConfig
from runtime.contract.catalogue import FunctionSpec
from runtime.contract.messages import TokenUsage

type Item = dict[str, Any]

MOST_TURNS = 50  # of a user's own agent, which names no limit
ENDS = {"response.completed", "response.incomplete", "response.failed"}


@dataclass(slots=True)
class Said:
    """What was said behind the input, in as many turns of the model.

    Shape:
        items  of the Responses API, as a request has them.
    """

    items: list[Item] = field(default_factory=list)
    turns: int = 0

    @classmethod
    def read(cls, said: Json) -> Self:
        """What `write` has written."""
        made = cls([dict(item) for item in said["items"]], int(said["turns"]))
        made.calls()
        return made

    def write(self) -> Json:
        """All of it as JSON."""
        return {"items": self.items, "turns": self.turns}

    def take(self, response: Any) -> None:
        """The model has answered."""
        self.turns += 1
        self.items += [item.model_dump(mode="json", exclude_none=True) for item in response.output]

    def calls(self) -> list[Item]:
        """The calls that the model wants and that are not yet made."""
        made = {item["call_id"] for item in self.items if item["type"] == "function_call_output"}
        wanted = [item for item in self.items if item["type"] == "function_call"]
        return [item for item in wanted if item["call_id"] not in made]


@dataclass(frozen=True, slots=True, kw_only=True)
class Loop:
    """A `Player` that asks the server turn by turn.

    Shape:
        made_for     digest of what the agent is made of, which what was kept is tied to.
        client       an async client with the Responses API.
        server_tools tools that the server runs itself, as it wants them described.
        most_turns   of the model in one run; `limit` names the field it comes from.
    """

    client: Any
    model: str
    instructions: str
    made_for: str
    tools: Sequence[ClientTool] = ()
    server_tools: Sequence[Any] = ()
    most_turns: int = MOST_TURNS
    limit: str = "spec.source.declarative.maxIterations"
    headers: Any = None
    _by_name: dict[str, ClientTool] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        self._by_name.update({tool.get_name(): tool for tool in self.tools})

    async def play(self, scope: Scope) -> AsyncIterator[Step]:
        """Text, costs, and at last one `Answer`."""
        checkpointer = Checkpointer(scope.run, self.made_for)
        said = await checkpointer.found(Said.read)
        if said is not None:
            yield Used(checkpointer.spent)
        else:
            said = Said()
        while True:
            if calls := said.calls():
                said.items += await asyncio.gather(*(self._called(call) for call in calls))
                scope.check()
                await checkpointer.save(said.write)
            self._check_turns(said)
            response: Any = None
            async for part in self._turn(scope.run, said):
                if isinstance(part, Text):
                    yield part
                else:
                    response = part
            said.take(response)
            if response.usage is not None:
                checkpointer.spent += usage_of(response.usage)
                yield Used(usage_of(response.usage))
            if not said.calls():
                yield Answer(last_text(response))
                return
            await checkpointer.save(said.write)

    def _check_turns(self, said: "Said") -> None:
        if said.turns >= self.most_turns:
            raise AgentFailure(
                f"no answer after {self.most_turns} turns of the model ({self.limit}); "
                "allow more, or ask for less"
            )

    async def _turn(self, run: Run, said: "Said") -> AsyncIterator[Any]:
        """One turn: its text as it comes, if somebody reads along, and the whole response.

        Raises:
            ModelFailure: the server says that it failed, or breaks off.
        """
        stream = run.options.stream
        answered = await self.client.responses.create(**self._asked(run, said), stream=stream)
        if not stream:
            yield _sound(answered, self.model)
            return
        whole: Any = None
        async with answered:
            async for event in answered:
                if event.type == "response.output_text.delta":
                    yield Text(event.delta)
                elif event.type in ENDS:
                    whole = event.response
        if whole is None:
            raise ModelFailure(f"the model {self.model} broke off in the middle of its answer")
        yield _sound(whole, self.model)

    def _asked(self, run: Run, said: "Said") -> dict[str, Any]:
        wishes = {
            "temperature": run.options.temperature,
            "max_output_tokens": run.options.max_output_tokens,
            "text": {"format": output.in_responses()} if (output := run.options.output) else None,
            "instructions": "\n\n".join(
                text for text in (self.instructions, run.options.instructions) if text
            ),
            "tools": [*(tool.get_tool_definition() for tool in self.tools), *self.server_tools],
            "extra_headers": self.headers,
        }
        given = {key: value for key, value in wishes.items() if value not in (None, "", [])}
        asked = [
            {"role": str(message.role), "content": message.text}
            for message in (*run.history, *run.input)
        ]
        return {"model": self.model, "input": [*asked, *said.items], "store": False, **given}

    async def _called(self, item: Item) -> Item:
        """One call of a turn, made; the output is in the form that the next turn takes."""
        name, call_id, arguments = item["name"], item["call_id"], item["arguments"]
        tool = self._by_name.get(name)
        if tool is None:
            output = f"there is no function {name}"
        else:
            call = ToolCall(call_id=call_id, tool_name=name, arguments=arguments)
            said = CompletionMessage(
                role="assistant",
                content=arguments,
                tool_calls=[call],
                stop_reason="end_of_turn",
            )
            response = ToolUtils.normalize_tool_response(await tool.async_run([said]))
            output = response["content"]
        return {"type": "function_call_output", "call_id": call_id, "output": output}


def loop_of(agent: AsyncAgent, config: AgentConfig, specs: Sequence[FunctionSpec]) -> Loop:
    """The turns of a user's `AsyncAgent`.

    Its own `create_turn` cannot run in llama-stack-client 0.7.5: it calls a method that is not
    there, and iterates over an async stream as if it were a plain one. So what the user said of
    the agent is read from it.
    """
    client: AsyncLlamaStackClient = agent.client
    own = list(agent.client_tools.values())
    names = {tool.get_name() for tool in own}
    model, instructions = agent._model, agent._instructions  # noqa: SLF001  # no other way to them
    server_tools: list[Any] = [
        tool
        for tool in agent._tools  # noqa: SLF001  # as above
        if tool.get("name") not in names
    ]
    kinds = [tool.get("type") for tool in server_tools]  # the rest may be how to log in somewhere
    return Loop(
        client=client,
        model=model,
        instructions=instructions,
        made_for=made_of(config, specs, model, instructions, sorted(names), kinds),
        tools=own,
        server_tools=server_tools,
        limit="as many as an agent may take that names no limit",
        headers=agent.extra_headers,
    )


def _sound(response: Any, model: str) -> Any:
    if response.status == "failed":
        why = getattr(response.error, "message", None) or "no reason given"
        raise ModelFailure(f"the model {model} failed: {why}")
    return response


def last_text(response: Any) -> str:
    """The text of the last message in a response."""
    messages = [item for item in response.output if item.type == "message"]
    if not messages:
        return ""
    content = messages[-1].content
    if isinstance(content, str):
        return content
    return "".join(part.text for part in content if part.type == "output_text")


def usage_of(usage: Any) -> TokenUsage:
    """The server's count of tokens as ours."""
    return TokenUsage(input_tokens=usage.input_tokens, output_tokens=usage.output_tokens)
