"""The form that a client wants the answer in, as each API says it.

Source:
    OpenAI API reference, "Structured outputs"; fields as in llama-stack-api 0.7.3,
    `OpenAIResponseTextFormat` and `OpenAIResponseFormatParam`.
"""

import re
from collections.abc import Mapping
from typing import Any

from runtime.amf.errors import BadRequest
from runtime.contract.output_format import OutputFormat
from runtime.json_schema import BadSchema, ForeignSchema

NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")


def wanted_in_responses(text: Any) -> OutputFormat | None:
    """What `text` of the Responses API asks for; None if it is text.

    Raises:
        BadRequest: it is no form that there is; `param` names the field.
    """
    asked = getattr(text, "format", None) or {}
    return _wanted(asked.get("type", "text"), asked, "text.format")


def wanted_in_chat(response_format: Any) -> OutputFormat | None:
    """What `response_format` of the Chat Completions API asks for; None if it is text.

    Raises:
        BadRequest: it is no form that there is; `param` names the field.
    """
    kind = getattr(response_format, "type", "text")
    about = getattr(response_format, "json_schema", None) or {}
    return _wanted(kind, about, "response_format.json_schema")


def _wanted(kind: str, about: Mapping[str, Any], where: str) -> OutputFormat | None:
    if kind == "text":
        return None
    if kind == "json_object":
        return OutputFormat()
    name, schema = about.get("name"), about.get("schema")
    if not NAME.fullmatch(name or ""):
        field = f"{where}.name"
        raise BadRequest(f"{field} must be 1 to 64 letters, digits, _ and -.", param=field)
    _check(schema, f"{where}.schema")
    return OutputFormat(
        name=name,
        description=about.get("description"),
        json_schema=schema,
        strict=bool(about.get("strict")),
    )


def _check(schema: dict[str, Any] | None, field: str) -> None:
    if schema is None:
        raise BadRequest(
            f"{field} is missing; for any JSON object ask for the type json_object.", param=field
        )
    try:
        ForeignSchema(schema)
    except BadSchema as error:
        raise BadRequest(f"{field} cannot be used: {error}.", param=field) from error
