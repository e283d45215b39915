"""Answers about the conversation itself: what was said, who somebody is, what the instructions are.

| asked | answered |
|---|---|
| What did I say first? / before? / last? | You said: … |
| What did you say first? / before? / last? | I said: … |
| What are your instructions? | My instructions are: … |
| What is my name? after "My name is Ada." | Your name is Ada. |
| What is the code? after "The code is 17.", by anyone | The code is 17. |
| Who am I? after "I am Ada." | You are Ada. |
"""

import re
from collections.abc import Iterator, Sequence

from stand_in.reading import typed
from stand_in.request import Message

_SAID = re.compile(
    r"\bwhat (?:did|have) (?P<who>i|you) (?:just )?(?:say|said|ask|asked|tell|told|answer|answered)"
    r"\b(?P<rest>[^.!?\n]*)",
    re.IGNORECASE,
)
_INSTRUCTIONS = re.compile(
    r"\b(?:what are|repeat|tell me) your (?:\w+ )?(?:instructions|prompt)\b", re.IGNORECASE
)
_WHO = re.compile(r"\bwho am i\b", re.IGNORECASE)
_I_AM = re.compile(r"\bI(?:'m| am) (?P<value>[^.,!?;\n]+)")
_ASKED = re.compile(
    r"\b(?:what(?:'s| is| are| was| were)|tell me|do you (?:know|remember)) "
    r"(?P<whose>my|our|the) (?P<what>\w[\w' -]*?)(?: again| now)? ?(?:[?.!,;]|$)",
    re.IGNORECASE,
)


def recall(prompt: str, before: Sequence[Message], instructions: str) -> str | None:
    """What the conversation says to `prompt`; None if the prompt does not ask about it."""
    prompt = typed(prompt)
    if said := _SAID.search(prompt):
        return _repeated(said["who"].lower() == "i", said["rest"].lower(), before)
    if _INSTRUCTIONS.search(prompt):
        return f"My instructions are: {instructions}" if instructions else "I have no instructions."
    if _WHO.search(prompt):
        who = _latest(_I_AM, before, ("user",))
        return f"You are {who}." if who else "You have not told me who you are."
    if asked := _ASKED.search(prompt):
        return _fact(asked["whose"].lower(), asked["what"].lower(), before)
    return None


def _repeated(by_user: bool, rest: str, before: Sequence[Message]) -> str:  # noqa: FBT001
    role, who = ("user", "You") if by_user else ("assistant", "I")
    said = [each.text for each in before if each.role == role and each.text]
    if not said:
        return f"{who} have said nothing before."
    return f"{who} said: {said[0 if 'first' in rest else -1]}"


def _fact(whose: str, what: str, before: Sequence[Message]) -> str | None:
    """What was stated last; if it was never told, only a question about `my` is ours to refuse."""
    stated = re.compile(
        rf"\b{whose} {re.escape(what)} (?P<verb>is|are|was|were) (?P<value>[^.,!?;\n]+(?:\.\d+)?)",
        re.IGNORECASE,
    )
    roles = ("user",) if whose != "the" else ("user", "assistant", "system", "developer")
    owner = "your" if whose == "my" else whose
    for text in _texts(before, roles):
        if found := stated.search(text):
            said = f"{owner} {what} {found['verb'].lower()} {found['value'].strip()}."
            return said[0].upper() + said[1:]
    return None if whose == "the" else f"You have not told me {owner} {what}."


def _latest(
    pattern: re.Pattern[str], before: Sequence[Message], roles: Sequence[str]
) -> str | None:
    found = (match for text in _texts(before, roles) if (match := pattern.search(text)))
    match = next(found, None)
    return match["value"].strip() if match else None


def _texts(before: Sequence[Message], roles: Sequence[str]) -> Iterator[str]:
    """The texts of these roles, the last said first."""
    return (typed(message.text) for message in reversed(before) if message.role in roles)
