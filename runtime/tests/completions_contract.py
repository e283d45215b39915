"""What every adapter keeps whose framework asks for chat completions itself."""

import json
import re
from pathlib import Path
from typing import Any, ClassVar

import pytest

from runtime.adapters.port import (
    AgentFailure,
    EmptyAnswer,
    ModelBusy,
    ModelFailure,
    ModelLost,
    WrongFormat,
)
from runtime.adapters.registry import build
from runtime.contract.agent_config import Execution
from runtime.contract.catalogue import FunctionSpec
from runtime.contract.output_format import OutputFormat
from runtime.tests.adapter_contract import BOTH, AdapterContract, fails
from runtime.tests.agents import SPEC, Config, answer, asking, function, run, steps_of
from runtime.tests.scripted_model import calling, jwt_of, response, saying, scripted

NAMES = (
    *("config", "context", "ctx", "self", "event", "name", "arguments", "input", "tool", "kwargs"),
    *("run_manager", "callbacks", "model_config", "json", "__ctx__", "_self"),
)
"""Of arguments that frameworks use themselves, or their languages."""
SAID = 'Is 1 < 2 && "x" {{y}}?'
"""What some template or markup would change."""


def words(message: dict[str, Any]) -> str:
    """The text of a message to a model, in either form."""
    content = message["content"]
    return content if isinstance(content, str) else "".join(part["text"] for part in content)


class CompletionsContract(AdapterContract):
    """An agent from instructions, asking whatever gives chat completions."""

    prompt: ClassVar[tuple[tuple[str, str], ...]]
    """What the model is asked: the role of each message, and what its whole text matches."""
    limit: ClassVar[str] = "max_completion_tokens"
    """How it hears of the most tokens that the client wants."""
    unknown: ClassVar[str] = "not found"
    """What it hears of the tool `ad`, which is none."""
    broke_off: ClassVar[str] = "the model small/stand-in at {url} broke off"

    def ending(self, words: str) -> dict[str, Any]:
        """What a model says to end a run with this answer."""
        return saying(words)

    def described(self, argument: dict[str, Any]) -> dict[str, Any]:
        """The schema that the model sees of an argument that may be left out."""
        return argument

    @BOTH
    @pytest.mark.parametrize(
        ("model", "kind", "said"),
        [
            ("error-500", ModelFailure, "{host}/chat/completions answered 500"),
            ("error-404", ModelFailure, "{host}/chat/completions answered 404"),
            ("error-429", ModelBusy, "has no capacity at the moment"),
            ("garbage", ModelFailure, "{host} answered with what is no completion"),
            ("cut", ModelLost, "cannot be reached: peer closed connection"),
            ("hang", ModelFailure, "gave no answer in time"),
        ],
    )
    async def test_a_model_that_fails_is_told(
        self,
        instructed: Config,
        server_url: str,
        model: str,
        kind: type[AgentFailure],
        said: str,
        stream: bool,
    ) -> None:
        made = instructed(model=model, execution=Execution(timeout_seconds=1))
        await fails(made, kind, said.format(host=server_url), stream=stream)

    async def test_a_stream_that_just_ends_is_no_answer(self, instructed: Config) -> None:
        choice = {"index": 0, "delta": {"role": "assistant", "content": "The answer"}}
        piece = {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "m"}
        piece |= {"choices": [choice]}
        cut = response(f"data: {json.dumps(piece)}\n\n", "text/event-stream")
        async with scripted(cut) as model:
            with pytest.raises(ModelFailure) as caught:
                await run(instructed(url=model.url), asking(stream=True))
        assert str(caught.value) == (
            f"{self.broke_off.format(url=model.url)} in the middle of its answer"
        )

    async def test_an_answer_of_spaces_is_none(self, instructed: Config) -> None:
        async with scripted(self.ending("  ")) as model:
            with pytest.raises(EmptyAnswer):
                await run(instructed(url=model.url))

    async def test_the_wishes_of_the_client_reach_the_model(self, instructed: Config) -> None:
        wishes = {"temperature": 0.25, "max_output_tokens": 7, "instructions": "Be {{brief}}."}
        async with scripted(self.ending("yes")) as model:
            assert answer(await run(instructed(url=model.url), asking(SAID, **wishes))) == "yes"
        (body,) = model.requests
        assert (body["temperature"], body[self.limit]) == (0.25, 7)
        heard = [(message["role"], words(message)) for message in body["messages"]]
        assert [role for role, _ in heard] == [role for role, _ in self.prompt]
        for (_, whole), (_, pattern) in zip(heard, self.prompt, strict=True):
            assert re.fullmatch(pattern, whole, re.DOTALL)

    async def test_an_answer_without_the_form_is_asked_for_again(self, instructed: Config) -> None:
        asked = asking("Say pear", output=OutputFormat())
        async with scripted(self.ending("A pear."), self.ending("[5]")) as model:
            with pytest.raises(WrongFormat, match=re.escape("[5] is not of type 'object'")):
                await run(instructed(url=model.url), asked)
        first, second = (json.dumps(body) for body in model.requests)
        wish = "Answer with one JSON object and nothing else"
        assert first.count(wish) + 1 == second.count(wish) >= 2
        assert "A pear." in second

    async def test_a_model_is_asked_with_the_proof_of_the_workload(
        self, instructed: Config, tmp_path: Path
    ) -> None:
        """The one that is in the file when it is asked, and only by way of the Stack's server."""
        file = tmp_path / "server-token"
        async with scripted(self.ending("yes")) as elsewhere, scripted(self.ending("yes")) as model:
            made = instructed(url=model.url)
            proving = made.model.model_copy(update={"token_file": str(file)})
            adapter = await build(made.model_copy(update={"model": proving}), ())
            tokens = [jwt_of(1), jwt_of(2)]
            for token in tokens:
                file.write_text(token)
                await steps_of(adapter, asking("Are you there?"))
            await run(instructed(url=elsewhere.url), asking("Are you there?"))
        assert model.keys == [f"Bearer {token}" for token in tokens]
        assert not set(elsewhere.keys) & set(model.keys)

    async def test_one_run_knows_nothing_of_the_one_before(self, instructed: Config) -> None:
        async with scripted(self.ending("yes")) as model:
            adapter = await build(instructed(url=model.url), ())
            for _ in range(2):
                await steps_of(adapter, asking("Are you there?"))
        first, second = model.requests
        assert first["messages"] == second["messages"]

    async def test_a_tool_that_is_not_there_is_told_to_the_model(self, instructed: Config) -> None:
        async with scripted(calling(("ad", "{}")), self.ending("so be it")) as model:
            assert answer(await run(instructed(url=model.url), asking(), (SPEC,))) == "so be it"
        assert self.unknown in str(model.requests[1]["messages"][-1])

    async def test_arguments_may_have_any_name(self, instructed: Config) -> None:
        properties = {name: {"type": "string"} for name in NAMES}
        schema = {"type": "object", "properties": properties}
        given = dict.fromkeys(NAMES, "x")
        seen: list[dict[str, Any]] = []

        async def note(arguments: dict[str, Any]) -> str:
            seen.append(arguments)
            return "noted"

        spec = FunctionSpec(name="note", description="Note.", input_schema=schema)
        async with scripted(calling(("note", json.dumps(given))), self.ending("done")) as model:
            await run(instructed(url=model.url), asking("?", function(note, spec)), (spec,))
        assert seen == [given]
        tool = model.requests[0]["tools"][0]["function"]
        assert tool["description"] == "Note."
        assert tool["parameters"]["properties"] == {
            name: self.described(argument) for name, argument in properties.items()
        }
