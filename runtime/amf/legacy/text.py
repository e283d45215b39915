"""The content of what old clients send: text, in one of three shapes."""

from typing import Any

from runtime.amf.errors import BadRequest


def text_of(content: Any, where: str) -> str:
    """The text of a content: words, a text item, or a list of them.

    Raises:
        BadRequest: it is something else; `where` names it.
    """
    match content:
        case str():
            return content
        case {"type": "text", "text": str(text)}:
            return text
        case list():
            return "".join(text_of(one, f"{where}[{n}]") for n, one in enumerate(content))
    kind = content.get("type", "a link") if isinstance(content, dict) else type(content).__name__
    raise BadRequest(f"Agents read text; {where} is {kind}.", param=where)
