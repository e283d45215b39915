"""What an old llama-stack-client sees of its turns when a server goes; it prints JSON lines.

    PYTHON old_stream.py URL MODEL WORDS...

One turn for each of `WORDS`, side by side. A line says `spoken` when one has begun to answer, and
one says at last how it went: the text as it was streamed, the answer, and whether its stream broke.
Nothing of ours is imported: it runs in an environment that has the client alone.
"""

import json
import sys
import threading
import time
from typing import Any

import httpx
import llama_stack_client

ENDS_WITHIN = 60.0


def text_of(chunk: Any) -> str:
    """The text that an event brings."""
    delta: Any = getattr(chunk.event.payload, "delta", None)
    return str(delta.text) if delta is not None and delta.type == "text" else ""


def follow(agents: Any, model: str, words: str) -> None:
    """Ask, read until the stream ends or breaks, and find out what became of the turn."""
    config = {"model": model, "instructions": "", "enable_session_persistence": False}
    agent = agents.create(agent_config=config).agent_id
    session = agents.session.create(agent_id=agent, session_name=words).session_id
    at = {"agent_id": agent, "session_id": session}
    messages = [{"role": "user", "content": words}]
    streamed, is_broken, turn = "", False, ""
    chunks = agents.turn.create(**at, messages=messages, stream=True)
    try:
        for chunk in chunks:
            turn = getattr(chunk.event.payload, "turn_id", turn)
            if (text := text_of(chunk)) and not streamed:
                say({"spoken": words})
            streamed += text
    except (httpx.TransportError, llama_stack_client.APIConnectionError):
        is_broken = True
    answer = ended(agents, at, turn)
    say({"words": words, "streamed": streamed, "answer": answer, "is_broken": is_broken})


def ended(agents: Any, at: dict[str, str], turn: str) -> str:
    """The answer of a turn, whichever server tells it."""
    end = time.monotonic() + ENDS_WITHIN
    while time.monotonic() < end:
        try:
            found = agents.turn.retrieve(turn, **at)
        except (llama_stack_client.APIConnectionError, llama_stack_client.InternalServerError):
            time.sleep(0.5)  # nobody listens there any more
            continue
        if found.completed_at:
            return str(found.output_message.content)
        time.sleep(0.2)
    raise TimeoutError(f"turn {turn} has not ended")


def say(what: dict[str, Any]) -> None:
    print(json.dumps(what), flush=True)


def main(url: str, model: str, *words: str) -> None:
    """A client for each: connections that are shared would all go to one server."""
    threads = []
    for one in words:
        client: Any = llama_stack_client.LlamaStackClient(base_url=url)
        agents = client.agents if hasattr(client, "agents") else client.alpha.agents
        threads.append(threading.Thread(target=follow, args=(agents, model, one)))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


if __name__ == "__main__":
    main(*sys.argv[1:])
