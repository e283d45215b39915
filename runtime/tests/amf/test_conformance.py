"""Whatever a client sends, every operation of ours answers as the served document says.

Requests are made from the document by schemathesis: such as it allows, and such as it does not.
They are the same ones each time; K8GENTAI_EXAMPLES says how many of each kind an operation gets
(`make conformance`: many).
"""

import asyncio
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
import pytest_asyncio
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, Verbosity, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import CHECKS
from schemathesis.core.failures import FailureGroup

from runtime.amf.document import TAGS
from runtime.tests.amf.clients import agent
from runtime.tests.amf.server import Server

EXAMPLES = int(os.environ.get("K8GENTAI_EXAMPLES", "8"))

pytestmark = [
    pytest.mark.integration,
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.timeout(120 + 20 * EXAMPLES),
    # The loop in the other thread may do so while a request is made.
    pytest.mark.filterwarnings("ignore:Do not use the `random` module inside strategies"),
]

MANNER = settings(
    max_examples=EXAMPLES,
    derandomize=True,
    database=None,
    deadline=None,
    phases=(Phase.generate,),
    verbosity=Verbosity.quiet,
    suppress_health_check=list(HealthCheck),
)
ALIASES = "^/v1alpha/agents"
"""The functions of `/v1/agents` once more, for clients of 0.3."""
ERASING = "^/v1alpha/k8gentai/users"
"""What takes no input, and all that the others speak of away."""
JSON_RPC = frozenset({"A2A", "MCP"})
HEADERS = {"Accept": "application/json, text/event-stream", "A2A-Version": "1.0"}
PLAIN: dict[str, Any] = {"input": "Hello", "messages": [{"role": "user", "content": "Hello"}]}


@dataclass(frozen=True)
class Known:
    """What there is: the document, the names and ids that requests may use, and an agent."""

    url: str
    document: dict[str, Any]
    names: dict[str, str]

    def made_known(self, case: Any, kept: int) -> None:
        """Let a request speak of what there is, and of one thing more: the field number `kept`."""
        for name in case.path_parameters or {}:
            case.path_parameters[name] = self.names.get(name, case.path_parameters[name])
        if isinstance(case.body, dict):
            case.body = self._simple(case.body, kept)

    def _simple(self, body: dict[str, Any], kept: int) -> dict[str, Any]:
        """A body that asks for little, so that most of them are not refused for something else."""
        simple: dict[str, Any] = {name: PLAIN[name] for name in PLAIN.keys() & body.keys()}
        if "model" in body:
            simple["model"] = self.names["model_id"]
        elif isinstance(body.get("agent_config"), dict):
            simple["agent_config"] = self._simple({"model": ""} | body["agent_config"], kept)
        others = sorted(body.keys() - simple.keys()) if simple else []
        if not others:
            return simple or body
        name = others[kept % len(others)]
        return {name: body[name]} | simple


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def known(server: Server) -> AsyncIterator[Known]:
    async with (
        agent(server) as (model, _),
        httpx.AsyncClient(base_url=server.url, timeout=60) as http,
    ):

        async def made(path: str, name: str = "id", **body: Any) -> str:
            answer = await http.post(path, json=body)
            found: str = answer.raise_for_status().json()[name]
            return found

        document = (await http.get("/openapi.json")).json()
        names = {"model": model, "agent": model, "model_id": f"agents/{model}"}
        names["response_id"] = await made("/v1/responses", model=model, input="Hello")
        names["conversation_id"] = await made("/v1/conversations")
        names["agent_id"] = await made("/v1/agents", "agent_id", agent_config={"model": model})
        sessions = f"/v1/agents/{names['agent_id']}/session"
        names["session_id"] = await made(sessions, "session_id", session_name="first")
        turns = f"{sessions}/{names['session_id']}/turn"
        names["turn_id"] = await made(turns, "turn_id", messages=PLAIN["messages"])
        names["toolgroup_id"], names["tool_name"] = "builtin::rag", "knowledge_search"
        yield Known(server.url, document, names)


@pytest.mark.parametrize("mode", list(GenerationMode), ids=lambda mode: mode.value)
@pytest.mark.parametrize("tag", TAGS)
async def test_each_operation_answers_as_the_document_says(
    known: Known, tag: str, mode: GenerationMode
) -> None:
    schema: Any = schemathesis.openapi.from_dict(known.document)
    schema = schema.include(tag=tag).exclude(path_regex=f"{ALIASES}|{ERASING}")
    operations = [found.ok() for found in schema.get_all_operations()]

    for one in operations:
        if mode is GenerationMode.POSITIVE or can_be_wrong(one):
            # In a thread: the agent that answers lives in this one.
            assert await asyncio.to_thread(ask, known, one, mode) > 0

    assert operations


def can_be_wrong(operation: Any) -> bool:
    """Whether a request can be none that the document allows; anything is a path."""
    return bool([*operation.body, *operation.query])


def ask(known: Known, operation: Any, mode: GenerationMode) -> int:
    """Send an operation requests of one kind; gives how many there were."""
    asked = 0
    left_out = not_held_to(operation)
    with requests.Session() as session:

        @MANNER
        @given(operation.as_strategy(generation_mode=mode), st.booleans(), st.integers(0, 50))
        def sending(case: Any, is_known: bool, kept: int) -> None:
            nonlocal asked
            asked += 1
            if is_known and mode is GenerationMode.POSITIVE:
                known.made_known(case, kept)
            answer = case.call(base_url=known.url, session=session, headers=HEADERS, timeout=60)
            try:
                case.validate_response(answer, excluded_checks=left_out)
            except FailureGroup as failures:
                what = "\n".join(str(one) for one in failures.exceptions)
                pytest.fail(f"{operation.label}\n{case.as_curl_command()}\n{answer.text}\n{what}")

        sending()
    return asked


def not_held_to(operation: Any) -> list[Any]:
    """The checks that an operation does not pass and need not.

    Agents do less than the schemas of the Responses API and of chats allow, and refuse the rest by
    the name of the field. JSON-RPC tells its errors in an answer with the status 200. What is said
    to be for models alone answers 501 for agents; other errors of a server are told nowhere.
    """
    names = ["positive_data_acceptance"]
    if JSON_RPC & set(operation.definition.raw["tags"]):
        names.append("negative_data_rejection")
    if "501" in operation.definition.raw["responses"]:
        names.append("not_a_server_error")
    return [CHECKS.get_one(name) for name in names]
