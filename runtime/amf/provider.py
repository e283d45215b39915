"""Where the server finds us: `module: runtime.amf` in a run config leads here.

Source:
    llama-stack 0.7.3 and ogx 1.5.0, `core/distribution.py` (`get_provider_spec`) and
    `core/resolver.py` (`get_provider_impl`).
"""

from typing import Any

from runtime.amf import sdk
from runtime.amf.config import AgentsConfig, AmfConfig, FilesConfig
from runtime.amf.elsewhere import Elsewhere
from runtime.amf.responses import AmfResponses
from runtime.amf.server_items import ServerItems
from runtime.amf.shared import shared_desk


def get_provider_spec() -> list[Any]:
    """Our providers, of responses, inference and files, and the server's that we run otherwise."""
    return [
        sdk.provider_spec(
            "responses", "amf", module=__name__, config=AmfConfig, uses=sdk.BUILTIN_USES
        ),
        sdk.provider_spec(
            "inference", "agents", module="runtime.amf.inference", config=AgentsConfig
        ),
        sdk.provider_spec("files", "database", module="runtime.amf.files", config=FilesConfig),
        *sdk.reader_specs(),
    ]


async def get_provider_impl(config: AmfConfig, deps: dict[Any, Any]) -> AmfResponses:
    """The provider of the Responses API."""
    builtin = await sdk.builtin_responses(config.builtin, deps) if config.builtin else None
    return AmfResponses(
        shared_desk(config.stack),
        ServerItems(deps),
        Elsewhere(builtin, sdk.server_models(deps)),
        heartbeat_seconds=config.heartbeat_seconds,
    )
