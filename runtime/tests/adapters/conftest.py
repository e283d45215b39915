"""A Llama Stack server before the stand-in model, and the clients of models closed again."""

import gc
import sys
from collections.abc import Iterator
from pathlib import Path

import openai
import pytest
from langchain_openai.chat_models._client_utils import _cached_async_httpx_client
from llama_stack_client import AsyncLlamaStackClient, LlamaStackClient

from runtime.adapters.llama_stack import client_of
from runtime.tests.agents import config, free_port, model_url, served

__all__ = ["config", "model_url"]  # fixtures

STACK = Path(__file__).with_name("stack.yaml")


@pytest.fixture(scope="session")
def stack_url(tmp_path_factory: pytest.TempPathFactory, model_url: str) -> Iterator[str]:
    """The address of a Llama Stack server that knows the stand-in model as `small/stand-in`."""
    port, folder = free_port(), tmp_path_factory.mktemp("stack")
    llama = Path(sys.prefix) / "bin" / "llama"
    command = [llama, "stack", "run", STACK, "--port", str(port)]
    # Its other format paints a traceback for each failed request, for seconds.
    env = {"MODEL_URL": model_url, "DATA": str(folder), "LLAMA_STACK_LOG_FORMAT": "json"}
    with served(folder, command, port, **env):
        yield f"http://127.0.0.1:{port}/v1"


async def close_clients() -> None:
    """Close the connections that the clients of models keep for as long as a process lives."""
    for made in (client_of, _cached_async_httpx_client):
        made.cache_clear()
    kinds = {openai.AsyncOpenAI, AsyncLlamaStackClient, LlamaStackClient}
    for client in [thing for thing in gc.get_objects() if type(thing) in kinds]:
        closing = client.close()
        if closing is not None:
            await closing
