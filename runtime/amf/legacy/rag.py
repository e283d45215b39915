"""What is found in vector databases, as old clients and models read it. Pure.

Source:
    llama-stack 0.2.23, `providers/inline/tool_runtime/rag/memory.py` (`query`); llama-stack-client
    0.1.4, 0.2.23 and 0.3.5: `types/tool_runtime`, `types/shared_params/query_config.py`.
"""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import Field

from runtime.amf.errors import BadRequest
from runtime.amf.items import Wire
from runtime.amf.legacy.bodies import Content, Strict, ToolgroupWithArgs
from runtime.amf.legacy.steps import iso, step_id
from runtime.amf.legacy.vectors import TOKEN_CHARACTERS, Found, KeptVectors
from runtime.contract.catalogue import FunctionSpec

RAG = "builtin::rag"
SEARCH = "knowledge_search"
NAMES = frozenset({RAG, f"{RAG}/{SEARCH}"})
TEMPLATE = "Result {index}\nContent: {chunk.content}\nMetadata: {metadata}\n"
END = (
    'The above results were retrieved to help answer the user\'s query: "{}". Use them as '
    "supporting information only in answering this query.\n"
)
PLACES = re.compile(r"\{(index|chunk\.content|metadata)\}")
PROVIDER = "k8gentai"

SEARCH_TOOL = FunctionSpec(
    name=SEARCH,
    description="Search for information in vector databases.",
    input_schema={
        "type": "object",
        "properties": {
            "query": {"type": "string", "description": "what to look for"},
            "vector_db_ids": {"type": "array", "items": {"type": "string"}},
        },
        "required": ["query", "vector_db_ids"],
    },
)


class QueryConfig(Strict):
    """How to search, and how to tell what was found."""

    max_chunks: Annotated[int, Field(ge=1, le=100)] = 5
    max_tokens_in_context: Annotated[int, Field(ge=1)] = 4096
    chunk_template: str = TEMPLATE
    mode: Literal["vector"] | None = None
    query_generator_config: dict[str, Any] | None = None
    ranker: None = None


class RagDocument(Strict):
    """A text to keep."""

    document_id: Annotated[str, Field(min_length=1, max_length=512)]
    content: Content
    mime_type: str | None = None
    metadata: dict[str, Any] = Field(default_factory=dict)


class RagInsert(Strict):
    """The body of `POST /tool-runtime/rag-tool/insert`."""

    vector_db_id: str
    documents: list[RagDocument]
    chunk_size_in_tokens: Annotated[int, Field(ge=8, le=8192)] = 512


class RagQuery(Strict):
    """The body of `POST /tool-runtime/rag-tool/query`."""

    content: Content
    vector_db_ids: Annotated[list[str], Field(min_length=1)]
    query_config: QueryConfig | None = None


class RegisterVectorDb(Strict):
    """The body of `POST /vector-dbs`."""

    vector_db_id: Annotated[str, Field(min_length=1, max_length=512)]
    embedding_model: str
    embedding_dimension: Annotated[int, Field(ge=1)] | None = None
    provider_id: str | None = None
    provider_vector_db_id: str | None = None
    vector_db_name: str | None = None


def database_wire(database: KeptVectors) -> Wire:
    """A vector database as old clients read it."""
    return {
        "identifier": database.id,
        "provider_id": PROVIDER,
        "provider_resource_id": database.id,
        "type": "vector_db",
        "embedding_model": database.model,
        "embedding_dimension": database.dimensions,
        "vector_db_name": database.name,
    }


def query_result(asked: str, found: Sequence[Found], config: QueryConfig) -> Wire:
    """What was found, in words for a model, and what it is made of."""
    chosen = _fitting([(one, _shown(n, one, config)) for n, one in enumerate(found, 1)], config)
    if not chosen:
        return {"content": None, "metadata": {"document_ids": [], "chunks": [], "scores": []}}
    texts = [
        f"{SEARCH} tool found {len(chosen)} chunks:\nBEGIN of {SEARCH} tool results.\n",
        *(text for _, text in chosen),
        f"END of {SEARCH} tool results.\n",
        END.format(asked),
    ]
    return {
        "content": [{"type": "text", "text": text} for text in texts],
        "metadata": {
            "document_ids": [one.document for one, _ in chosen],
            "chunks": [one.text for one, _ in chosen],
            "scores": [one.score for one, _ in chosen],
        },
    }


def retrieval_step(turn: str, databases: Sequence[str], result: Wire, *, now: float) -> Wire:
    """The step of a turn in which that was found."""
    names = ",".join(databases)
    return {
        "step_type": "memory_retrieval",
        "step_id": step_id(turn, "memory_retrieval", names),
        "turn_id": turn,
        "vector_db_ids": names,
        "inserted_context": result["content"] or "",
        "started_at": iso(now),
        "completed_at": iso(now),
    }


def search_of(kwargs: Mapping[str, Any]) -> tuple[str, list[str]]:
    """What is looked for, and where, by the arguments of the tool.

    Raises:
        BadRequest: they are not its arguments; `param` names the field.
    """
    asked, databases = kwargs.get("query"), kwargs.get("vector_db_ids")
    if not isinstance(asked, str):
        raise BadRequest("kwargs.query must be a string.", param="kwargs.query")
    return asked, _names(databases, "kwargs.vector_db_ids")


def databases_of(toolgroups: Sequence[str | ToolgroupWithArgs] | None, field: str) -> list[str]:
    """The vector databases that a turn is to be answered from: `args` of the toolgroup for that.

    Raises:
        BadRequest: they are no list of names.
    """
    named: list[str] = []
    for number, group in enumerate(toolgroups or ()):
        if isinstance(group, ToolgroupWithArgs) and group.name in NAMES:
            where = f"{field}[{number}].args.vector_db_ids"
            named += _names(group.args.get("vector_db_ids", []), where)
    return list(dict.fromkeys(named))


def _names(given: Any, where: str) -> list[str]:
    if not isinstance(given, list) or not all(isinstance(one, str) for one in given):
        raise BadRequest(f"{where} must be a list of names.", param=where)
    return given


def _shown(index: int, found: Found, config: QueryConfig) -> str:
    """What is shown of a piece: of its client's template, three words stand for something."""
    metadata = {"document_id": found.document} | found.metadata
    values: Mapping[str, str] = {
        "index": str(index),
        "chunk.content": found.text,
        "metadata": json.dumps(metadata, ensure_ascii=False, default=str),
    }
    return PLACES.sub(lambda place: values[place[1]], config.chunk_template)


def _fitting(shown: Sequence[tuple[Found, str]], config: QueryConfig) -> list[tuple[Found, str]]:
    """The first pieces, as many as there is room for."""
    room = config.max_tokens_in_context * TOKEN_CHARACTERS
    chosen: list[tuple[Found, str]] = []
    for one, text in shown:
        room -= len(text)
        if room < 0:
            break
        chosen.append((one, text))
    return chosen
