"""Models that are no agent: the server's builtin provider answers for them."""

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any, Protocol

from runtime.amf.errors import NotFound, UnknownModel
from runtime.amf.known import PREFIX
from runtime.amf.visible import hint

SHOWN = 20  # names in an error; the rest is counted
NEAR = 3
LONGEST = 300  # characters that are compared; a client may send megabytes


class Models(Protocol):
    """The server's list of models; see `sdk.ServerModels`."""

    async def names(self) -> list[str]:
        """How clients call them."""
        ...


class Elsewhere:
    """The builtin provider, where the run config has one.

    Shape:
        Requests and answers are the server's own; nothing of them is touched.
    """

    def __init__(self, builtin: Any | None, models: Models | None) -> None:
        self._builtin = builtin
        self._models = models

    async def create(self, request: Any, agents: Iterable[str]) -> Any:
        """Answer for a model that is none of `agents`.

        Raises:
            UnknownModel: see `check`.
        """
        await self.check(request.model, agents)
        return await self._of(request.model).create_openai_response(request)

    async def check(self, model: str, agents: Iterable[str]) -> None:
        """Refuse what is no model, and none of `agents`.

        Raises:
            UnknownModel: the message lists what there is.
        """
        names = await self._models.names() if self._models else []
        providers = {name.partition("/")[0] for name in names}
        provider, _, rest = model.partition("/")
        if self._builtin is None or not rest or provider not in providers or _is_agent(provider):
            raise unknown_model(model, agents, names)

    async def compact(self, request: Any, agents: Iterable[str]) -> Any:
        """Make shorter what was said to a model that is none of `agents`.

        Raises:
            UnknownModel: see `check`.
        """
        await self.check(request.model, agents)
        return await self._of(request.model).compact_openai_response(request)

    async def get(self, request: Any) -> Any:
        """A response of the builtin provider."""
        return await self._of(request.response_id).get_openai_response(request)

    async def cancel(self, request: Any) -> Any:
        """Cancel a response of the builtin provider."""
        return await self._of(request.response_id).cancel_openai_response(request)

    async def delete(self, request: Any) -> Any:
        """Delete a response of the builtin provider."""
        return await self._of(request.response_id).delete_openai_response(request)

    async def input_items(self, request: Any) -> Any:
        """The input of a response of the builtin provider."""
        return await self._of(request.response_id).list_openai_response_input_items(request)

    async def listed(self, request: Any) -> Any:
        """The responses of one model.

        Raises:
            UnknownModel: nothing here keeps any.
        """
        if self._builtin is None:
            raise unknown_model(request.model, (), ())
        return await self._builtin.list_openai_responses(request)

    async def shutdown(self) -> None:
        """Stop the builtin provider."""
        if self._builtin is not None:
            await self._builtin.shutdown()

    def _of(self, response: str) -> Any:
        if self._builtin is None:
            raise no_response(response)
        return self._builtin


def unknown_model(model: str, agents: Iterable[str], models: Iterable[str]) -> UnknownModel:
    """There is no such model; this is what there is, and which of it may be meant."""
    names = sorted(agents) + sorted(name for name in models if not name.startswith(PREFIX))
    near = get_close_matches(model.removeprefix(PREFIX)[:LONGEST], names, NEAR)
    meant = f" Did you mean {' or '.join(near)}?" if near else ""
    shown = ", ".join(names[:SHOWN]) or "none yet"
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return UnknownModel(
        f"There is no model {model}.{meant} There are: {shown}{more}. See GET /v1/models.{hint()}",
        param="model",
    )


async def unlisted_model(model: str, models: Models) -> UnknownModel:
    """The same for a model that the server has looked for in its list."""
    names = await models.names()
    agents = [name.removeprefix(PREFIX) for name in names if name.startswith(PREFIX)]
    return unknown_model(model, agents, names)


def no_response(response: str) -> NotFound:
    """There is no such response, or it is somebody else's."""
    return NotFound(f"There is no response {response}.", param="response_id")


def _is_agent(provider: str) -> bool:
    return f"{provider}/" == PREFIX
