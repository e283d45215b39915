"""A Stack on OGX, in the image of its own: its agents answer, and it keeps what was said."""

import pytest

from e2e.asking import Asking
from e2e.kubectl import Namespace
from e2e.manifests import ADDS, agent, config_map, stack, sum_of_two, tool

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(240)]


async def test_an_agent_of_a_stack_on_ogx_answers_in_a_conversation(namespace: Namespace) -> None:
    here = {"name": "ogx"}
    namespace.apply(
        stack("ogx", server={"flavour": "OGX"}),
        config_map("adds", adds=ADDS),
        tool("add", "adds:add", "adds", here),
        agent("math", here, {"name": "add"}),
    )
    namespace.wait_ready("stack/ogx", "agent/math", seconds=180)
    question, answer, _ = sum_of_two()
    with namespace.reached("stack-ogx", 8321) as address:
        asking = Asking(f"http://{address}")
        async with asking.openai() as client:
            conversation = (await client.conversations.create()).id
            response = await asking.ask("math", question, conversation=conversation)
            items = await client.conversations.items.list(conversation, order="asc")

    assert answer in response.output_text
    assert [item.type for item in items.data] == ["message", "message"]
    assert namespace.get("stack/ogx")["status"]["version"]["server"] == "1.5.0"
