"""Agent cards as the catalogue makes them."""

from a2a.server.request_handlers.response_helpers import agent_card_to_dict

from runtime.amf.a2a.card import card_of
from runtime.contract.agent_config import Framework
from runtime.contract.catalogue import AgentEntry, FunctionSpec, ToolEntry
from runtime.tests.amf.events import ADD, MATH

URL = "http://stack/a2a/math"
AGENT = AgentEntry(
    agent=MATH,
    model="math",
    framework=Framework.LANGGRAPH,
    description="Does sums.",
    version="3",
    tools=(ADD,),
)
TOOL = ToolEntry(
    tool=ADD, functions=(FunctionSpec(name="plus", description="Adds.", input_schema={}),)
)


def test_a_card_says_what_the_agent_is_and_what_it_can() -> None:
    card = agent_card_to_dict(card_of(AGENT, [TOOL], URL))

    assert (card["name"], card["description"], card["version"]) == ("math", "Does sums.", "3")
    assert card["capabilities"]["streaming"] is True
    assert [one["protocolVersion"] for one in card["supportedInterfaces"]] == ["1.0", "0.3"]
    assert {one["url"] for one in card["supportedInterfaces"]} == {URL}
    assert [(one["id"], one["description"]) for one in card["skills"]] == [
        ("math", "Does sums."),
        ("add.plus", "Adds."),
    ]


def test_a_card_is_one_for_clients_of_version_0_3_as_well() -> None:
    card = agent_card_to_dict(card_of(AGENT, [], URL))

    assert (card["url"], card["preferredTransport"]) == (URL, "JSONRPC")
    assert card["protocolVersion"].startswith("0.3")


def test_an_agent_without_a_description_has_a_card_with_one() -> None:
    card = card_of(AGENT.model_copy(update={"description": ""}), [], URL)

    assert card.description == "The agent math, written in LangGraph."
    assert card.skills[0].description == card.description
