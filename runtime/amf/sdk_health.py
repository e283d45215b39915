"""How providers tell the server that they are well."""

from collections.abc import Callable
from typing import Any

from runtime.amf.flavour import api_module
from runtime.amf.items import Wire

_api = api_module()


def health(why_not: str | None) -> Any:
    """How a provider says that it is well, or what ails it."""
    if why_not is None:
        return _api.HealthResponse(status=_api.HealthStatus.OK)
    return _api.HealthResponse(status=_api.HealthStatus.ERROR, message=why_not)


class OwnHealth:
    """Asks one provider of inference how it is.

    The server's Providers API was given a list of providers before there were any, and asks none.
    It would ask all, one after the other and each for up to a second.

    Shape:
        beside  what else may be wrong with the server, in a sentence.
    """

    def __init__(
        self, name: str, provider: Any, beside: Callable[[], str | None] | None = None
    ) -> None:
        self.__provider_spec__ = provider.__provider_spec__
        self._name = name
        self._provider = provider
        self._beside = beside

    async def health(self) -> Wire:
        """What it says of itself, by its name."""
        own = await self._provider.health()
        why_not = self._beside() if self._beside else None
        is_well = own["status"] == _api.HealthStatus.OK
        return {self._name: health(why_not) if is_well and why_not else own}


def show_health_of(server: Any, name: str, beside: Callable[[], str | None] | None = None) -> None:
    """Let `GET /v1/providers` tell how this provider of inference is, and what is beside it."""
    impls = server.stack.impls
    provider = impls[_api.Api.inference].routing_table.impls_by_provider_id[name]
    impls[_api.Api.providers].deps = {_api.Api.inference: OwnHealth(name, provider, beside)}
