"""The routes of a simple RAG client: vector databases, and the tool that fills and asks them.

Source:
    llama-stack-client 0.1.4 and 0.2.23, `resources/vector_dbs.py`, `resources/tool_runtime/
    rag_tool.py`; 0.3.5 has the tool alone.
"""

from fastapi import APIRouter
from starlette.responses import Response

from runtime.amf.legacy.agents import LegacyAgents
from runtime.amf.legacy.answers import (
    Nothing,
    QueryResult,
    VectorDb,
    VectorDbList,
    answers,
)
from runtime.amf.legacy.rag import (
    QueryConfig,
    RagInsert,
    RagQuery,
    RegisterVectorDb,
    database_wire,
    query_result,
)
from runtime.amf.legacy.text import text_of
from runtime.amf.legacy.vectors import new_database
from runtime.amf.responses import json_response


def add_vector_dbs(router: APIRouter, agents: LegacyAgents) -> None:
    """Vector databases: made, listed, seen, deleted."""

    @router.post("/v1/vector-dbs", responses=answers(VectorDb))
    async def register_vector_db(body: RegisterVectorDb) -> Response:
        """Make a vector database."""
        asked = new_database(
            body.vector_db_id, body.embedding_model, body.embedding_dimension, body.vector_db_name
        )
        return json_response(database_wire(await (await agents.vectors()).register(asked)))

    @router.get("/v1/vector-dbs", responses=answers(VectorDbList))
    async def list_vector_dbs() -> Response:
        """The vector databases."""
        databases = await (await agents.vectors()).all()
        return json_response({"data": [database_wire(one) for one in databases]})

    @router.get("/v1/vector-dbs/{vector_db_id}", responses=answers(VectorDb))
    async def get_vector_db(vector_db_id: str) -> Response:
        """A vector database."""
        return json_response(database_wire(await (await agents.vectors()).get(vector_db_id)))

    @router.delete("/v1/vector-dbs/{vector_db_id}", status_code=204)
    async def unregister_vector_db(vector_db_id: str) -> None:
        """Delete a vector database, with its documents."""
        await (await agents.vectors()).delete(vector_db_id)


def add_rag_tool(router: APIRouter, agents: LegacyAgents) -> None:
    """Documents put into a database, and what is found in some."""

    @router.post("/v1/tool-runtime/rag-tool/insert", responses=answers(Nothing))
    async def insert_documents(body: RagInsert) -> Response:
        """Put documents into a vector database."""
        vectors = await agents.vectors()
        texts = [
            text_of(document.content, f"documents[{number}].content")
            for number, document in enumerate(body.documents)
        ]
        for document, text in zip(body.documents, texts, strict=True):
            await vectors.insert(
                body.vector_db_id,
                document.document_id,
                text,
                document.metadata,
                tokens=body.chunk_size_in_tokens,
            )
        return json_response({})

    @router.post("/v1/tool-runtime/rag-tool/query", responses=answers(QueryResult))
    async def query_documents(body: RagQuery) -> Response:
        """Find what is near a text in vector databases."""
        asked, config = text_of(body.content, "content"), body.query_config or QueryConfig()
        vectors = await agents.vectors()
        found = await vectors.search(body.vector_db_ids, asked, config.max_chunks)
        return json_response(query_result(asked, found, config))
