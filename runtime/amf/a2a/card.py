"""Agent cards, made from the catalogue. Pure.

Source:
    A2A protocol specification 1.0, "Agent Card".
"""

from collections.abc import Iterable

from a2a.types import (
    AgentCapabilities,
    AgentCard,
    AgentInterface,
    AgentSkill,
    OpenIdConnectSecurityScheme,
    SecurityRequirement,
    SecurityScheme,
    StringList,
)

from runtime.contract.catalogue import AgentEntry, ToolEntry

TEXT = "text/plain"
VERSIONS = ("1.0", "0.3")
USER = "user"


def card_of(
    agent: AgentEntry, tools: Iterable[ToolEntry], url: str, discovery: str | None = None
) -> AgentCard:
    """The card of an agent that answers at `url`.

    Args:
        agent: as the catalogue has it.
        tools: those it may call.
        url: where calls go.
        discovery: of the issuer whose users are let in; None if everybody is.
    """
    card = AgentCard(
        name=agent.model,
        description=_description(agent),
        version=agent.version,
        supported_interfaces=[
            AgentInterface(url=url, protocol_binding="JSONRPC", protocol_version=version)
            for version in VERSIONS
        ],
        capabilities=AgentCapabilities(streaming=True, push_notifications=False),
        default_input_modes=[TEXT],
        default_output_modes=[TEXT],
        skills=[_own_skill(agent), *(skill for tool in tools for skill in _skills_of(tool))],
    )
    if discovery is not None:
        login = OpenIdConnectSecurityScheme(open_id_connect_url=discovery)
        card.security_schemes[USER].CopyFrom(SecurityScheme(open_id_connect_security_scheme=login))
        card.security_requirements.append(SecurityRequirement(schemes={USER: StringList()}))
    return card


def _description(agent: AgentEntry) -> str:
    """What the agent is good for; a card has to say something."""
    return agent.description or f"The agent {agent.model}, written in {agent.framework}."


def _own_skill(agent: AgentEntry) -> AgentSkill:
    return AgentSkill(
        id=agent.model,
        name=agent.model,
        description=_description(agent),
        tags=[agent.framework.value],
    )


def _skills_of(tool: ToolEntry) -> Iterable[AgentSkill]:
    for function in tool.functions:
        yield AgentSkill(
            id=f"{tool.tool.name}.{function.name}",
            name=function.name,
            description=function.description or f"The function {function.name}.",
            tags=["tool", tool.tool.name],
        )
