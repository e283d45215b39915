"""Models to ask, and the clients of models closed again."""

import gc

import openai
from langchain_openai.chat_models._client_utils import _cached_async_httpx_client
from llama_stack_client import AsyncLlamaStackClient, LlamaStackClient

from runtime.adapters.llama_stack import client_of
from runtime.tests.agents import config, model_url, stack_url

__all__ = ["config", "model_url", "stack_url"]  # fixtures


async def close_clients() -> None:
    """Close the connections that the clients of models keep for as long as a process lives."""
    for made in (client_of, _cached_async_httpx_client):
        made.cache_clear()
    kinds = {openai.AsyncOpenAI, AsyncLlamaStackClient, LlamaStackClient}
    for client in [thing for thing in gc.get_objects() if type(thing) in kinds]:
        closing = client.close()
        if closing is not None:
            await closing
