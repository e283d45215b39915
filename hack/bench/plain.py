"""The agent behind plain FastAPI and uvicorn, as one would write it without a platform.

    python hack/bench/plain.py --port 8000

POST /v1/responses, whole or as server-sent events: the one route of the platform that is compared.
"""

import argparse
import json
import time
import uuid
from collections.abc import AsyncIterator

import uvicorn
from fastapi import FastAPI
from fastapi.responses import StreamingResponse
from langchain_core.messages import AIMessageChunk, HumanMessage
from parrot import graph
from pydantic import BaseModel

app = FastAPI()


class Ask(BaseModel):
    """What is read of a request."""

    model: str
    input: str
    stream: bool = False


@app.post("/v1/responses", response_model=None)
async def respond(ask: Ask) -> dict[str, object] | StreamingResponse:
    """Answer one question."""
    if ask.stream:
        return StreamingResponse(events(ask), media_type="text/event-stream")
    state = await graph.ainvoke({"messages": [HumanMessage(ask.input)]})
    return response(ask, state["messages"][-1].text)


async def events(ask: Ask) -> AsyncIterator[str]:
    """The answer as it appears."""
    whole = ""
    async for chunk, _ in graph.astream(
        {"messages": [HumanMessage(ask.input)]}, stream_mode="messages"
    ):
        if isinstance(chunk, AIMessageChunk) and chunk.text:
            whole += chunk.text
            yield event({"type": "response.output_text.delta", "delta": chunk.text})
    yield event({"type": "response.completed", "response": response(ask, whole)})


def event(value: dict[str, object]) -> str:
    """One server-sent event."""
    return f"data: {json.dumps(value)}\n\n"


def response(ask: Ask, text: str) -> dict[str, object]:
    """A finished response of the OpenAI Responses API."""
    content = [{"type": "output_text", "text": text, "annotations": []}]
    message = {"type": "message", "role": "assistant", "status": "completed", "content": content}
    return {
        "id": f"resp_{uuid.uuid4().hex}",
        "object": "response",
        "created_at": int(time.time()),
        "status": "completed",
        "model": ask.model,
        "output": [message],
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    port = parser.parse_args().port
    uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning", access_log=False)
