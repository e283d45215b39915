"""What the run config (`run.yaml`) of a server of ours says: our providers, and all around them.

Shape:
    A whole one, as the tests run it, is `runtime/tests/amf/run.yaml`. In short:

    version: 2
    apis: [inference, responses, tool_runtime, vector_io, files]
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
           responses: {table_name: responses, backend: sql}}}}}
      tool_runtime: [{provider_id: mcp, provider_type: "remote::model-context-protocol"}]
      files: [{provider_id: files, provider_type: "inline::localfs", config: {…}}]
      vector_io: []
    registered_resources:
      models: [{model_id: <its id>, provider_id: <name>, provider_model_id: <its id>,
                model_type: llm}]
    storage: {backends: {kv: …, sql: …, scratch: …}, stores: {metadata: …, inference: …, …}}
    server: {host: …, workers: 1}

    <StackConfig> is `contract.agent_config.StackConfig` as JSON, the same in both places: the two
    providers share one desk, and so one connection, because their configs are equal.

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
    metadata        the list of models, agents included. It is written anew at each start, so it
                    belongs into `${env.K8GENTAI_SCRATCH}`, a folder that `serve` makes for its
                    process: elsewhere it would go on listing what the Stack no longer has.
    inference       the server insists on a store of chats; `serve` takes it away again, or every
                    call of an agent to its model would be kept for ever.
    server.port     is not read: the port is K8GENTAI_PORT, 8321 by default.

Source:
    llama-stack 0.7.3, `core/datatypes.py` (StackConfig), `core/routers/__init__.py`,
    `providers/remote/inference/*/config.py`, `providers/utils/inference/model_registry.py`.
"""

from typing import Any

from pydantic import BaseModel, Field

from runtime.contract.agent_config import StackConfig


class AgentsConfig(BaseModel):
    """Of the inference provider `agents`."""

    stack: StackConfig


class AmfConfig(BaseModel):
    """Of the responses provider.

    Shape:
        builtin  the config of the server's own provider of the Responses API; null for none.

    Units:
        `heartbeat_seconds`: so long any stream of the server may be silent before it gives a sign
        of life.
    """

    stack: StackConfig
    builtin: dict[str, Any] | None = None
    heartbeat_seconds: float = Field(default=15, gt=0)
