"""Models of other kinds, and Flows that ask and call by themselves, in runs that begin again."""

import time
from datetime import UTC, datetime

import pytest

from runtime.adapters import recorded
from runtime.tests.agents import Config, answer, users
from runtime.tests.frameworks.crewai.marks import MARKS
from runtime.tests.frameworks.crewai.test_crewai_pieces import ADD, TOOLS, playing
from runtime.tests.lost import lost_at_the_effect
from runtime.tests.scripted_model import calling, saying

pytestmark = MARKS


WORDS = (
    TOOLS
    + """
    import json
    from crewai.llms.base_llm import BaseLLM

    ASKED = []

    class Words(BaseLLM):
        '''A model of the user's own, which calls functions in its words, each time with others.'''

        def call(self, messages, *args, **kwargs):
            ASKED.append(json.dumps(messages, default=str))
            done = ASKED[-1].count("Action Input: {")
            return SAID[done].replace("7", str(7 + len(ASKED)))

    class More(Words):
        def call(self, messages, *args, **kwargs):
            return super().call(messages, *args, **kwargs)

    SAID = [
        'Thought: I note.\\nAction: note\\nAction Input: {"kind": "text"}',
        'Thought: I note.\\nAction: note\\nAction Input: {"kind": "json"}',
        'Thought: I add.\\nAction: add\\nAction Input: {"a": 1, "b": 7}',
        'Thought: I know.\\nFinal Answer: so be it',
    ]

    def of(model, context, **facts):
        agent = Agent(
            role="clerk", goal="Notes", backstory="Careful.", llm=model(model="words"),
            tools=[note, *context.tools],
        )
        return Crew(agents=[agent], tasks=[asked("{input}", agent)])

    def words(context):
        return of(Words, context)

    def more(context):
        return of(More, context)
"""
)


@pytest.mark.fault(1)
@pytest.mark.parametrize("entrypoint", ["words", "more"])
async def test_a_model_of_another_kind_is_not_asked_again(config: Config, entrypoint: str) -> None:
    """What it answers would be something else, and the effect would happen twice."""
    async with playing(config, WORDS, entrypoint, saying("nothing")) as place:
        await lost_at_the_effect(place, "Note.")
        assert answer(await place.whole("Note.")) == "so be it"
        assert users(place.config, "NOTES") == ["text", "json"]
        asked = users(place.config, "ASKED")
        assert len(asked) == len(set(asked)) == 4
        assert place.questions == []
    assert place.effects == [{"a": 1, "b": 7 + 3}]


FLOWS = (
    TOOLS
    + """
    import re
    from pydantic import ConfigDict, Field, model_validator

    class Found(BaseModel):
        total: int = Field(alias="Total")

    class Lost(Found):
        seen: set[int] = set()

        def __eq__(self, other):
            return False

    class Raw(BaseTool):
        name: str = "raw"
        description: str = "Takes anything."

        def _run(self, data):
            NOTES.append(len(list(data)))
            return data

    def flow(do):
        class One(Flow):
            @start()
            def first(self):
                return do()

        return One()

    def add(context, **given):
        return context.tools[0].run(**given)

    def told(context):
        def do():
            said = context.model.call("How much?")
            return add(context, a=1, b=int(said))
        return flow(do)

    def formed(context, kind=Found):
        def do():
            found = context.model.call("How much?", response_model=kind)
            return add(context, a=1, b=found.total)
        return flow(do)

    def formless(context):
        return formed(context, Lost)

    def anything(context):
        def do():
            circle = []
            circle.append(circle)
            for data in (bytes([255, 1]), Anything(), (n for n in "ab"), circle):
                Raw().run(data=data)
            return add(context, a=1, b=2)
        return flow(do)

    class Anything:
        def __iter__(self):
            return iter("abc")

    def catching(context):
        def do():
            try:
                note.run(kind="error")
            except ValueError as error:
                return f"{error}: {add(context, a=1, b=2)}"
        return flow(do)
"""
)


@pytest.mark.fault(1)
async def test_what_a_flow_asks_is_kept_before_it_calls_a_tool(config: Config) -> None:
    async with playing(config, FLOWS, "told", saying("7"), saying("8")) as place:
        await lost_at_the_effect(place, "Add.")
        assert answer(await place.whole("Add.")) == "8"
        assert len(place.questions) == 1
    assert place.effects == [{"a": 1, "b": 7}]


@pytest.mark.parametrize(("entrypoint", "questions"), [("formed", 1), ("formless", 2)])
async def test_an_answer_in_a_form_is_given_again_or_asked_for_again(
    config: Config, entrypoint: str, questions: int
) -> None:
    async with playing(config, FLOWS, entrypoint, saying('{"Total": 7}')) as place:
        await place.cut("Add.")
        assert answer(await place.whole("Add.")) == "8"
        assert len(place.questions) == questions
    assert len(place.effects) == 1


async def test_a_kept_answer_that_cannot_be_read_is_asked_for_again(
    config: Config, caplog: pytest.LogCaptureFixture
) -> None:
    async with playing(config, FLOWS, "told", saying("7")) as place:
        await place.cut("Add.")
        kept = await place.kept()
        assert kept is not None
        await place.put(kept.replace(b"text", b"sext"))
        assert answer(await place.whole("Add.")) == "8"
        assert "a piece of a run is done again" in caplog.messages
        assert len(place.questions) == 2
    assert len(place.effects) == 1


async def test_a_tool_may_be_given_anything(config: Config) -> None:
    """What has no name is called again."""
    async with playing(config, FLOWS, "anything", saying("nothing")) as place:
        await place.cut()
        notes = [2, 3, 2, 1]
        assert users(place.config, "NOTES") == notes
        assert answer(await place.whole()) == "3"
        assert users(place.config, "NOTES") == notes * 2
    assert len(place.effects) == 1


async def test_what_a_flow_catches_it_catches_again(config: Config) -> None:
    async with playing(config, FLOWS, "catching", saying("nothing")) as place:
        await place.cut()
        assert answer(await place.whole()) == "no paper 1: 3"
        assert users(place.config, "NOTES") == ["error"]
    assert len(place.effects) == 1


DATED = (
    TOOLS
    + """
    def dated(context):
        agent = member(context, inject_date=True, date_format="%Y-%m-%d %H:%M:%S")
        return Crew(agents=[agent], tasks=[asked("{input}", agent)])
"""
)


@pytest.mark.parametrize("seconds", [1, 24 * 60 * 60])
async def test_a_run_goes_on_at_another_time(
    config: Config, monkeypatch: pytest.MonkeyPatch, seconds: int
) -> None:
    began = time.time() - seconds
    said = [calling(ADD), saying("so be it")]
    async with playing(config, DATED, "dated", *said) as place:
        with monkeypatch.context() as past:
            past.setattr(recorded, "time", lambda: began)
            await place.cut()
        assert answer(await place.whole()) == "so be it"
        assert len(place.questions) == 2
        then = datetime.fromtimestamp(began, UTC).astimezone()
        assert all(
            f"Current Date: {then:%Y-%m-%d %H:%M:%S}" in question for question in place.questions
        )
    assert len(place.effects) == 1
