"""How providers tell the server that they are well; beside `sdk` the one door to its packages."""

from typing import Any

from llama_stack_api import (  # type: ignore[import-untyped]  # it has no py.typed
    Api,
    HealthResponse,
    HealthStatus,
)

from runtime.amf.items import Wire


def health(why_not: str | None) -> Any:
    """How a provider says that it is well, or what ails it."""
    if why_not is None:
        return HealthResponse(status=HealthStatus.OK)
    return HealthResponse(status=HealthStatus.ERROR, message=why_not)


class OwnHealth:
    """Asks one provider of inference how it is.

    The server's Providers API was given a list of providers before there were any, and asks none.
    It would ask all, one after the other and each for up to a second.
    """

    def __init__(self, name: str, provider: Any) -> None:
        self.__provider_spec__ = provider.__provider_spec__
        self._name = name
        self._provider = provider

    async def health(self) -> Wire:
        """What it says of itself, by its name."""
        return {self._name: await self._provider.health()}


def show_health_of(server: Any, name: str) -> None:
    """Let `GET /v1/providers` tell how this provider of inference is."""
    impls = server.stack.impls
    provider = impls[Api.inference].routing_table.impls_by_provider_id[name]
    impls[Api.providers].deps = {Api.inference: OwnHealth(name, provider)}
