"""Tools and requests that the tests of the model share."""

import json
from collections.abc import Mapping

from stand_in.decide import Answer, Ask, Say, decide
from stand_in.request import Call, Message, Request, Tool

INTEGER: Mapping[str, object] = {"type": "integer"}
NUMBER: Mapping[str, object] = {"type": "number"}
STRING: Mapping[str, object] = {"type": "string"}


def tool(name: str, description: str = "", /, **properties: Mapping[str, object]) -> Tool:
    """A tool all of whose properties are required."""
    schema = {"type": "object", "properties": properties, "required": list(properties)}
    return Tool(name, description, schema)


ADD = tool("add", "Add two integers.", a=INTEGER, b=INTEGER)
SUBTRACT = tool("subtract", "Take one number from another.", a=NUMBER, b=NUMBER)
MULTIPLY = tool("multiply", "The product of two numbers.", x=NUMBER, y=NUMBER)
DIVIDE = tool("divide", "Divide one number by another.", a=NUMBER, b=NUMBER)
TOTAL = tool("total", "Sum of a list.", numbers={"type": "array", "items": NUMBER})
CALCULATOR = tool("calculator", "Evaluates an expression.", expression=STRING)
SQUARE = tool("square", "The square of a number.", x=NUMBER)
WEATHER = tool("get_weather", "The weather of a city.", city=STRING)
FORECAST = tool("forecast", "", city=STRING, days=INTEGER)
TRANSLATE = tool("translate", "Translate a text.", text=STRING, language=STRING)
RESEARCHER = tool("ask_researcher", "Finds things out.", input=STRING)
CLOCK = tool("get_time", "Tells the time.")
FINAL = tool("final_answer", "Ends the work.", response=STRING)


def user(text: str) -> Message:
    return Message("user", text)


def assistant(text: str) -> Message:
    return Message("assistant", text)


def system(text: str) -> Message:
    return Message("system", text)


def ask(*messages: Message, tools: tuple[Tool, ...] = (), parallel: bool = True) -> Answer:
    return decide(Request(model="m", messages=messages, tools=tools, parallel=parallel))


def say(*messages: Message, tools: tuple[Tool, ...] = ()) -> str:
    """The text of an answer that is one."""
    answer = ask(*messages, tools=tools)
    assert isinstance(answer, Say), answer
    return answer.text


def calls(answer: Answer) -> list[tuple[str, object]]:
    """The calls of an answer that asks for some."""
    assert isinstance(answer, Ask), answer
    return [(wish.name, json.loads(wish.arguments)) for wish in answer.wishes]


def answered(answer: Answer, *results: str, turn: int = 0) -> tuple[Message, ...]:
    """The messages that follow `answer` when its calls return `results`."""
    assert isinstance(answer, Ask), answer
    made = tuple(
        Call(f"call_{turn}_{i}", wish.name, wish.arguments) for i, wish in enumerate(answer.wishes)
    )
    told = (Message("tool", text, (), call.id) for call, text in zip(made, results, strict=True))
    return (Message("assistant", "", made), *told)
