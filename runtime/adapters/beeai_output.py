"""The form of an answer as BeeAI wants it said."""

import copy
from typing import Any, override

from pydantic import BaseModel, ConfigDict

from runtime.adapters.structured import Form
from runtime.contract.output_format import OutputFormat


def expected(output: OutputFormat | None) -> dict[str, Any]:
    """What the run of an agent is given for its answer.

    A `RequirementAgent` answers by a call of a tool, whose arguments are the document; so only an
    object can be one. What else there is it is told in words.
    """
    if output is None:
        return {}
    schema = output.json_schema
    if schema is None or schema.get("type") != "object":
        return {"expected_output": Form(output).wish}
    return {"expected_output": _document(schema)}


def _document(schema: dict[str, Any]) -> type[BaseModel]:
    class Document(BaseModel):
        """Takes whatever the model writes: it is checked elsewhere, for all frameworks."""

        model_config = ConfigDict(extra="allow")

        @override
        @classmethod
        def model_json_schema(cls, *args: Any, **kwargs: Any) -> dict[str, Any]:
            return copy.deepcopy(schema)

    return Document
