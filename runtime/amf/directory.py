"""What whoever asks may use of a Stack."""

from runtime.amf import sdk
from runtime.amf.desk import Desk
from runtime.amf.elsewhere import unknown_model
from runtime.amf.known import PREFIX
from runtime.amf.shared import SharedDesk
from runtime.amf.visible import visible
from runtime.contract.catalogue import AgentEntry, ToolEntry


class Directory:
    """The agents that the server lists as models to whoever asks, and the tools that these call.

    Policies, and the server's own one, so decide what is shown, here as in `GET /v1/models`. The
    catalogue has Agents of other namespaces too, if spec.allowedNamespaces of the Stack lets them
    in.
    """

    def __init__(self, shared: SharedDesk, models: sdk.ServerModels) -> None:
        self._shared = shared
        self._models = models

    async def desk(self) -> Desk:
        """The desk of this process."""
        return await self._shared.get()

    async def agents(self) -> tuple[AgentEntry, ...]:
        """The agents, by namespace and name."""
        desk = await self.desk()
        listed = await self._models.of(PREFIX.rstrip("/"))
        agents = visible(desk.agents.all, sdk.caller())
        return tuple(agent for agent in agents if agent.model in listed)

    async def agent(self, name: str) -> AgentEntry:
        """The agent that clients call so.

        Raises:
            UnknownModel: there is none, or not for whoever asks.
            OutOfReach: nobody can say yet.
        """
        await (await self.desk()).agent(name, sdk.caller())
        agents = {agent.model: agent for agent in await self.agents()}
        if (agent := agents.get(name)) is None:
            raise unknown_model(name, agents, ())
        return agent

    async def tools(self) -> tuple[ToolEntry, ...]:
        """The tools, by namespace and name."""
        called = {tool for agent in await self.agents() for tool in agent.tools}
        return tuple(tool for tool in (await self.desk()).tools.all if tool.tool in called)
