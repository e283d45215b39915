"""Where the server finds the legacy agents API: `apis/agents.yaml` leads here.

Source:
    llama-stack 0.7.3, `core/external.py`, `core/distribution.py` (`available_providers`),
    `core/resolver.py` (`get_provider_impl`) and `core/server/fastapi_router_registry.py`
    (`create_router`).
"""

from typing import Any, Protocol, runtime_checkable

from fastapi import APIRouter

from runtime.amf import sdk
from runtime.amf.config import LegacyConfig
from runtime.amf.directory import Directory
from runtime.amf.items import Wire
from runtime.amf.legacy.agents import LegacyAgents
from runtime.amf.legacy.bodies import CreateAgent
from runtime.amf.legacy.rag_routes import add_rag_tool, add_vector_dbs
from runtime.amf.legacy.routes import agents_router
from runtime.amf.legacy.tool_routes import add_tool_runtime, add_toolgroups
from runtime.amf.shared import shared_desk


@runtime_checkable
class Agents(Protocol):
    """What a provider of this API can do; `apis/agents.yaml` names it."""

    async def create_agent(self, body: CreateAgent) -> Wire:
        """Keep an agent."""
        ...


def available_providers() -> list[Any]:
    """The one provider of this API."""
    return [
        sdk.api_spec(
            "agents",
            "legacy",
            module=__name__,
            config=LegacyConfig,
            uses=["responses", "inference", "models"],
        )
    ]


def create_router(provider: LegacyAgents) -> APIRouter:
    """The routes of the API."""
    router = agents_router(provider)
    add_toolgroups(router, provider)
    add_tool_runtime(router, provider)
    add_vector_dbs(router, provider)
    add_rag_tool(router, provider)
    return router


async def get_provider_impl(config: LegacyConfig, deps: dict[Any, Any]) -> LegacyAgents:
    """The provider."""
    shared = shared_desk(config.stack)
    directory = Directory(shared, sdk.models_of(deps))
    return LegacyAgents(shared, sdk.responses_of(deps), sdk.Embeddings(deps), directory)
