"""The form that a client wants an answer in."""

from typing import Any

from pydantic import Field

from runtime.contract.value import Value


class OutputFormat(Value):
    """One JSON document: any object, or what fits a schema.

    Shape:
        name, description  the client's, told to models; null for any object.
        schema             JSON Schema 2020-12, unless it names another draft; null for any object.
        strict             whether models are to be held to it while they write. The answer is
                           checked in any case.

    Source:
        OpenAI API reference, "Structured outputs".
    """

    name: str | None = None
    description: str | None = None
    json_schema: dict[str, Any] | None = Field(default=None, alias="schema")
    strict: bool = False

    def in_responses(self) -> dict[str, Any]:
        """As `text.format` of the Responses API has it."""
        if self.json_schema is None:
            return {"type": "json_object"}
        return {"type": "json_schema", **self._about()}

    def in_chat(self) -> dict[str, Any]:
        """As `response_format` of the Chat Completions API has it."""
        if self.json_schema is None:
            return {"type": "json_object"}
        return {"type": "json_schema", "json_schema": self._about()}

    def _about(self) -> dict[str, Any]:
        about = {"name": self.name, "schema": self.json_schema, "strict": self.strict}
        return about if self.description is None else about | {"description": self.description}
