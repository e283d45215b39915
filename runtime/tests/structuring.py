"""Answers with a form, of an agent from instructions of any framework on the stand-in model."""

import json
import random
from typing import Any

import pytest

from runtime.adapters.registry import build
from runtime.contract.agent_config import AgentConfig
from runtime.contract.output_format import OutputFormat
from runtime.tests.agents import SPEC, adding, answer, asking, function, steps_of, text

TOTAL: dict[str, Any] = {
    "type": "object",
    "properties": {"total": {"$ref": "#/$defs/number"}},
    "required": ["total"],
    "additionalProperties": False,
    "$defs": {"number": {"type": "integer"}},
}
SUM = OutputFormat(name="sum", json_schema=TOTAL, strict=True)


@pytest.mark.parametrize("stream", [False, True])
async def test_a_sum_comes_in_the_form_that_was_asked_for(
    structured: AgentConfig,
    stream: bool,  # noqa: FBT001  # a parameter of the table
) -> None:
    a, b = random.sample(range(100, 900), 2)
    calls: list[dict[str, Any]] = []

    async def add(arguments: dict[str, Any]) -> str:
        calls.append(arguments)
        return await adding(arguments)

    adapter = await build(structured, (SPEC,))
    asked = asking(f"What is {a} + {b}?", function(add), stream=stream, output=SUM)
    steps = await steps_of(adapter, asked)
    assert json.loads(answer(steps)) == {"total": a + b}
    assert text(steps) == (answer(steps) if stream else "")
    assert calls == [{"a": a, "b": b}]


async def test_any_object_will_do(structured: AgentConfig) -> None:
    adapter = await build(structured, ())
    said = answer(await steps_of(adapter, asking("Say the word pear.", output=OutputFormat())))
    assert isinstance(json.loads(said), dict)
    assert "pear" in said


async def test_other_runs_answer_as_ever(structured: AgentConfig) -> None:
    adapter = await build(structured, ())
    await steps_of(adapter, asking("Say the word pear.", output=SUM))
    said = answer(await steps_of(adapter, asking("Say the word pear.")))
    assert "pear" in said
    assert not said.startswith("{")
