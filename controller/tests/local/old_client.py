"""What a user of llama-stack-client writes, whichever version it is; it prints JSON.

    hack/env.sh client 0.1.4    # prints the Python of that version
    PYTHON old_client.py URL QUESTION

Nothing of ours is imported: it runs in an environment that has the client alone.
"""

import importlib.metadata
import json
import re
import sys
from collections.abc import Callable
from typing import Any

import llama_stack_client

VERSION = importlib.metadata.version("llama-stack-client")
AGENT, MODEL = "math", "small/stand-in"
INSTRUCTIONS = "You do sums. Always use your tools to calculate."


def plus(a: int, b: int) -> int:
    """Add two numbers.

    :param a: the first number
    :param b: the second number
    :returns: the sum
    """
    return a + b


def resources(client: Any, question: str) -> dict[str, Any] | None:
    """The agents API as the client has it; the newest has none any more."""
    if hasattr(client, "alpha") and not hasattr(client.alpha, "agents"):
        return None
    agents = client.agents if hasattr(client, "agents") else client.alpha.agents
    config = {"model": AGENT, "instructions": INSTRUCTIONS, "enable_session_persistence": False}
    agent = agents.create(agent_config=config).agent_id
    session = agents.session.create(agent_id=agent, session_name="sums").session_id
    at = {"agent_id": agent, "session_id": session}
    messages = [{"role": "user", "content": question}]
    streamed = list(agents.turn.create(**at, messages=messages, stream=True))
    payloads = [chunk.event.payload for chunk in streamed]
    turn = payloads[-1].turn
    whole = agents.turn.create(**at, messages=messages, stream=False)
    again = agents.turn.retrieve(turn.turn_id, **at)
    step = agents.steps.retrieve(turn.steps[1].step_id, **at, turn_id=turn.turn_id).step
    kept = agents.session.retrieve(session, agent_id=agent)
    one = agents.session.retrieve(session, agent_id=agent, turn_ids=[turn.turn_id])
    told = {
        "events": [payload.event_type for payload in payloads],
        "texts": [
            p.delta.text for p in payloads if getattr(p, "delta", None) and p.delta.type == "text"
        ],
        "answers": [one.output_message.content for one in (turn, whole, again)],
        "call": [step.tool_calls[0].tool_name, step.tool_calls[0].arguments],
        "result": step.tool_responses[0].content,
        "turns": [len(kept.turns), len(one.turns)],
        "listed": listed(agents, agent),
        "is_missing": is_missing(lambda: agents.session.retrieve("nobody", agent_id=agent)),
    }
    agents.session.delete(session, agent_id=agent)
    agents.delete(agent)
    return told | {
        "is_gone": is_missing(lambda: agents.session.create(agent_id=agent, session_name="x"))
    }


def listed(agents: Any, agent: str) -> list[Any] | None:
    """What can be listed; 0.1 lists nothing."""
    if not hasattr(agents, "list"):
        return None
    found = [one["agent_id"] for one in agents.list().data]
    config = agents.retrieve(agent).agent_config
    sessions = agents.session.list(agent_id=agent).data
    return [agent in found, config.model, [one["session_name"] for one in sessions]]


def is_missing(ask: Callable[[], Any]) -> bool:
    """Whether what is asked for is not found."""
    try:
        ask()
    except llama_stack_client.NotFoundError:
        return True
    return False


def models(client: Any) -> list[list[Any]]:
    """An agent and a model, as the client finds them in the list and by their names."""
    listed = {one.identifier: one for one in client.models.list()}
    names = (f"agents/{AGENT}", MODEL)
    found = [one for name in names for one in (listed[name], client.models.retrieve(name))]
    return [
        [one.identifier, one.provider_id, one.provider_resource_id, (one.metadata or {})]
        for one in found
    ]


def tools(client: Any) -> dict[str, Any] | None:
    """The Tools of the Stack as the client has them; the newest knows no toolgroups any more."""
    if not hasattr(client, "toolgroups"):
        return None
    groups = client.toolgroups.list()
    listed = client.tools.list(toolgroup_id="add")
    refused = ""
    offered = list(client.tool_runtime.list_tools(tool_group_id="add"))
    try:
        client.tool_runtime.invoke_tool(tool_name="add", kwargs={"a": 2, "b": 3})
    except llama_stack_client.PermissionDeniedError as error:
        refused = str(error)
    return {
        "groups": sorted(group.identifier for group in groups),
        "group": client.toolgroups.get("add").identifier,
        "listed": [[one.name, one.toolgroup_id] for one in listed],
        "identifiers": [getattr(one, "identifier", None) for one in listed],
        "offered": [one.name for one in offered],
        "got": client.tools.get("add").name,
        "refused": refused,
    }


def documents(client: Any) -> dict[str, Any] | None:
    """What a simple RAG client does; 0.3 has no vector databases of its own any more."""
    if not hasattr(client, "vector_dbs"):
        return None
    about = {"embedding_dimension": 64, "provider_id": "any"}
    made = client.vector_dbs.register(
        vector_db_id=f"handbook {VERSION}", embedding_model="vectors/stand-in", **about
    )
    rag, name = client.tool_runtime.rag_tool, made.identifier
    texts = {"equipment": "A stolen laptop is replaced.", "holidays": "Everybody has 30 days."}
    given = [
        {"document_id": one, "content": text, "mime_type": "text/plain", "metadata": {"page": 3}}
        for one, text in texts.items()
    ]
    rag.insert(documents=given, vector_db_id=name, chunk_size_in_tokens=64)
    asked = "Who replaces a stolen laptop?"
    found = rag.query(content=asked, vector_db_ids=[name])
    group = {"name": "builtin::rag", "args": {"vector_db_ids": [name]}}
    config = {"model": MODEL, "instructions": "Answer.", "toolgroups": [group]}
    agent = client.agents.create(agent_config=config).agent_id
    session = client.agents.session.create(agent_id=agent, session_name="rag").session_id
    chunks = client.agents.turn.create(
        agent_id=agent,
        session_id=session,
        messages=[{"role": "user", "content": asked}],
        stream=True,
    )
    payloads = [chunk.event.payload for chunk in chunks]
    steps = payloads[-1].turn.steps
    listed = [one.identifier for one in client.vector_dbs.list()]
    client.vector_dbs.unregister(name)
    return {
        "found": "".join(part.text for part in found.content),
        "documents": found.metadata["document_ids"],
        "events": [payload.event_type for payload in payloads],
        "steps": [step.step_type for step in steps],
        "context": "".join(part.text for part in steps[0].inserted_context),
        "is_listed": name in listed,
        "is_gone": is_missing(lambda: client.vector_dbs.retrieve(name)),
    }


def helper(client: Any, question: str, model: str, *tools: Callable[..., Any]) -> dict[str, Any]:
    """The class `Agent` and its logger: what they print, and what they give."""
    agents: Any = importlib.import_module("llama_stack_client.lib.agents.agent")
    logger: Any = importlib.import_module(
        "llama_stack_client.lib.agents.event_logger"
    ).EventLogger()
    if VERSION.startswith("0.1."):
        agent = oldest(client, agents, model, tools)
    else:
        agent = agents.Agent(client, model=model, instructions=INSTRUCTIONS, tools=list(tools))
    session = agent.create_session("sums")
    messages = [{"role": "user", "content": question}]
    printed = [str(one) for one in logger.log(agent.create_turn(messages, session_id=session))]
    whole = agent.create_turn(messages, session_id=session, stream=False)
    answer = whole.output_text if hasattr(whole, "output_text") else whole.output_message.content
    return {"printed": "".join(printed), "answer": answer}


def oldest(client: Any, agents: Any, model: str, tools: tuple[Callable[..., Any], ...]) -> Any:
    """The class `Agent` as it was in 0.1: it is told everything twice."""
    make: Any = importlib.import_module("llama_stack_client.lib.agents.client_tool").client_tool
    made = tuple(make(tool) for tool in tools)
    config = {
        "model": model,
        "instructions": INSTRUCTIONS,
        "toolgroups": [],
        "client_tools": [tool.get_tool_definition() for tool in made],
        "tool_choice": "auto",
        "tool_prompt_format": "json",
        "enable_session_persistence": False,
    }
    return agents.Agent(client, config, made)


def main(url: str, question: str) -> None:
    client: Any = llama_stack_client.LlamaStackClient(base_url=url)
    numbers = re.findall(r"\d+", question)
    told = {
        "version": VERSION,
        "resources": resources(client, question),
        "models": models(client),
        "tools": tools(client),
        "documents": documents(client),
        "agent": helper(client, question, AGENT),
        "model": helper(client, question.replace("+", "plus"), MODEL, plus),
        "own": helper(client, f"Use plus: {' and '.join(numbers)}", AGENT, plus),
    }
    sys.stdout.write(json.dumps(told))


if __name__ == "__main__":
    main(*sys.argv[1:])
