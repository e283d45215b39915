"""Models as `GET /v1/models` and `GET /v1/models/{model_id}` tell them: alike, to every client.

The server tells the list in OpenAI's shape alone, and one model in its own. Clients of Llama Stack
before 0.7 read its own in both, those of OpenAI theirs.

Source:
    OpenAI API reference, "The model object"; llama-stack-client 0.1.4 to 0.7.5, `types/model.py`;
    llama-stack 0.7.3 and ogx 1.5.0, `core/routing_tables/models.py`.
"""

import time
from typing import Any, Literal

from pydantic import BaseModel, Field, computed_field

from runtime.amf.flavour import api_module
from runtime.amf.items import Wire

_routes = api_module("models.fastapi_routes")


class ModelInfo(BaseModel):
    """An agent or a model of the Stack.

    Shape:
        identifier       how clients name it, `<provider>/<model>`; in OpenAI's words the `id`.
        owned_by         the server's word for itself; Llama Stack has it in lists alone.
        metadata         of an agent: what it is, and how.
        custom_metadata  the same for clients of Llama Stack since 0.7, with the type and provider.

    Units:
        `created` in seconds since the epoch; Llama Stack keeps no such time, and tells the present.
    """

    identifier: str
    type: Literal["model"] = "model"
    model_type: Literal["llm", "embedding", "rerank"]
    provider_id: str
    provider_resource_id: str
    metadata: dict[str, Any]
    created: int = Field(default_factory=lambda: int(time.time()))
    owned_by: str = "llama_stack"

    @computed_field  # type: ignore[prop-decorator]  # mypy 1.x knows no decorators of properties
    @property
    def id(self) -> str:
        """The identifier."""
        return self.identifier

    @computed_field  # type: ignore[prop-decorator]  # as above
    @property
    def object(self) -> Literal["model"]:
        """What this is."""
        return "model"

    @computed_field  # type: ignore[prop-decorator]  # as above
    @property
    def custom_metadata(self) -> Wire:
        """The metadata with the type and the provider."""
        return {
            "model_type": self.model_type,
            "provider_id": self.provider_id,
            "provider_resource_id": self.provider_resource_id,
            **self.metadata,
        }


class ModelList(BaseModel):
    """All that whoever asks may use."""

    object: Literal["list"] = "list"
    data: list[ModelInfo]


def answer_with_both_shapes() -> None:
    """Let the routes that are made from now on answer with these types.

    What OGX tells clients of Anthropic and Google is no answer of a type, and stays as it is.
    """
    _routes.Model = ModelInfo
    _routes.OpenAIListModelsResponse = ModelList


def list_whole(table: Any) -> None:
    """Let the list be made of all that the table has of each model, not of what OpenAI tells."""
    table.openai_list_models = table.list_models
