"""How to say it: the few instructions of a system prompt that the model follows.

| instruction | effect on an answer in words |
|---|---|
| Begin (start) … with "Ahoy" | Ahoy stands before it |
| End (finish, close) … with "over" | over stands behind it |
| Answer in one word | the last word alone |
| in upper case, in capital letters / in lower case | so written |
| one JSON object / JSON schema is: {…} | JSON instead of words, if a user says so, too |
"""

import contextlib
import json
import re

from stand_in.reading import typed
from stand_in.schema import Schema

_WITH = r"\b[^.!?\n\"]*?\bwith\s+(?:[\"'](?P<quoted>[^\"'\n]+)[\"']|(?P<word>\w+))"
_BEGIN = re.compile(rf"\b(?:begin|start){_WITH}", re.IGNORECASE)
_END = re.compile(rf"\b(?:end|finish|close){_WITH}", re.IGNORECASE)
_ONE_WORD = re.compile(r"\bin (?:one|a single) word\b", re.IGNORECASE)
_UPPER = re.compile(r"\bin (?:upper ?case|capitals|capital letters)\b", re.IGNORECASE)
_LOWER = re.compile(r"\bin (?:lower ?case|small letters)\b", re.IGNORECASE)
_ANY_OBJECT = re.compile(r"\bone JSON object\b", re.IGNORECASE)
_SCHEMA = re.compile(r"\bJSON schema is: (?=\{)", re.IGNORECASE)
_FORM_LINE = re.compile(rf"^.*{_SCHEMA.pattern}.*\n?", re.IGNORECASE | re.MULTILINE)


def form(instructions: str) -> Schema | None:
    """The schema that an answer is to fit, an empty one for any object; None for words."""
    if told := _SCHEMA.search(instructions):
        with contextlib.suppress(json.JSONDecodeError):
            schema: Schema = json.JSONDecoder().raw_decode(instructions, told.end())[0]
            return schema
    return {} if _ANY_OBJECT.search(instructions) else None


def without_form(prompt: str) -> str:
    """A prompt without the line that tells the form of the answer, which is about no value."""
    return _FORM_LINE.sub("", prompt)


def styled(text: str, instructions: str) -> str:
    """`text` as the instructions want it said."""
    if not instructions:
        return text
    instructions = typed(instructions)
    if _ONE_WORD.search(instructions):
        text = (text.split() or [""])[-1].strip(".,:;!?\"'()")
    if _UPPER.search(instructions):
        text = text.upper()
    elif _LOWER.search(instructions):
        text = text.lower()
    if begin := _BEGIN.search(instructions):
        text = f"{begin['quoted'] or begin['word']} {text}"
    if end := _END.search(instructions):
        text = f"{text} {end['quoted'] or end['word']}"
    return text
