"""What the run config (`run.yaml`) of a server of ours says: our providers, and all around them.

Shape:
    A whole one, as the tests run it, is `runtime/tests/amf/run.yaml`. In short:

    version: 2
    apis: [inference, responses, tool_runtime, vector_io, files, agents]
    external_apis_dir: ${env.K8GENTAI_APIS}
    providers:
      inference:
      - {provider_id: agents, provider_type: "inline::agents", module: runtime.amf,
         config: {stack: <StackConfig>}}
      - {provider_id: <model's name in the Stack>, provider_type: "remote::vllm",
         config: {base_url: <…/v1>, api_token: <key>, max_tokens: 0, allowed_models: [<its id>]}}
      responses:
      - {provider_id: amf, provider_type: "inline::amf", module: runtime.amf,
         config: {stack: <StackConfig>, builtin: {persistence: {
           agent_state: {namespace: responses, backend: kv},
           responses: {table_name: responses, backend: sql}}},
           auth: <ServerAuth>}}
      tool_runtime: [{provider_id: mcp, provider_type: "remote::model-context-protocol"}]
      files: [{provider_id: files, provider_type: "inline::localfs", config: {…}}]
      vector_io: [{provider_id: vectors, provider_type: "inline::faiss", config: {persistence: …}}]
      agents:
      - {provider_id: legacy, provider_type: "inline::legacy", config: {stack: <StackConfig>}}
    registered_resources:
      models: [{model_id: <its id>, provider_id: <name>, provider_model_id: <its id>,
                model_type: llm}]     # or embedding, with metadata: {embedding_dimension: <n>}
    storage: {backends: {kv: …, sql: …, scratch: …}, stores: {metadata: …, inference: …, …}}
    server: {host: …, workers: 1}

    <StackConfig> is `contract.agent_config.StackConfig` as JSON, the same wherever it stands: our
    providers share one desk, and so one connection, because their configs are equal.

    external_apis_dir  a folder that says where the legacy agents API is; `serve` sets the variable.

    agents          has to be the id of our inference provider: the server's list puts it before the
                    agents' names (`agents/math`), and clients may say it or leave it out.
    models          a Stack's model is a provider under its name, so its id is `<name>/<model>`.
                    Each has to stand in `registered_resources`; such a provider is not asked for
                    its models when the server starts, so the server starts without it.
    keys            `base_url` with its `/v1` in all of them. The key is `api_token` for
                    remote::vllm, `api_key` for remote::openai and the other OpenAI-compatible ones;
                    remote::ollama has none, but needs the package `ollama`: Ollama answers
                    remote::vllm just as well. remote::vllm asks for at most 4096 tokens where the
                    client names no limit, unless `max_tokens` is 0.
    builtin         answers for models that are no agent; it needs `tool_runtime`, `files` and
                    `vector_io`, which may be empty. Without it there are no such answers.
    auth            whose tokens are accepted (`contract.auth_config`), for every path; without it
                    everybody is let in, as `anonymous`. The server's own `server.auth` would ask
                    somebody at each request, and would not know an agent from a user.
    metadata        the list of models, agents included. It is written anew at each start, so it
                    belongs into `${env.K8GENTAI_SCRATCH}`, a folder that `serve` makes for its
                    process: elsewhere it would go on listing what the Stack no longer has. Vector
                    stores are in the same list; with those it is kept, and `serve` takes the models
                    out of it first.
    files           with sqlite in a folder; with PostgreSQL `inline::database` of ours, since
                    several servers share no folder.
    vector_io       empty unless `spec.models` has a model with `embedding` and the server is one
                    process: each process would have an index of its own, and write over the
                    others'.
    kv, sql         of a Stack with PostgreSQL they are `kv_postgres` and `sql_postgres`, without an
                    address: that is in the process' environment (`database.py`).
    inference       the server insists on a store of chats; `serve` takes it away again, or every
                    call of an agent to its model would be kept for ever.
    file_processors of OGX alone, where vector stores leave the reading of files to it.
    ogx             its builtin responses have no `agent_state`, and its stores of prompts and
                    connectors are in SQL: `{table_name: …, backend: sql}`.
    server.port     is not read: the port is K8GENTAI_PORT, 8321 by default.

Source:
    llama-stack 0.7.3 and ogx 1.5.0, `core/datatypes.py` (StackConfig), `core/routers/__init__.py`,
    `providers/remote/inference/*/config.py`, `providers/utils/inference/model_registry.py`.
"""

from typing import Any

from pydantic import BaseModel, Field

from runtime.contract.agent_config import StackConfig
from runtime.contract.auth_config import ServerAuth


class AgentsConfig(BaseModel):
    """Of the inference provider `agents`."""

    stack: StackConfig


class LegacyConfig(BaseModel):
    """Of the provider of the external API `agents`."""

    stack: StackConfig


class AmfConfig(BaseModel):
    """Of the responses provider.

    Shape:
        builtin  the config of the server's own provider of the Responses API; null for none.
        auth     whom the whole server lets in; null for everybody.

    Units:
        `heartbeat_seconds`: so long any stream of the server may be silent before it gives a sign
        of life.
    """

    stack: StackConfig
    builtin: dict[str, Any] | None = None
    auth: ServerAuth | None = None
    heartbeat_seconds: float = Field(default=15, gt=0)


class FilesConfig(BaseModel):
    """Of the files provider that keeps files in the server's database.

    Shape:
        backend  the name of a sql_postgres in `storage.backends`.
    """

    backend: str
