"""Which tools a clause speaks of, best first."""

from collections.abc import Sequence
from dataclasses import dataclass

from stand_in.reading import BACK_WORDS, Kind, Token
from stand_in.request import Tool
from stand_in.words import operators, spoken_operators, stem, stems

# What a mention is worth; below ENOUGH a tool is not meant.
NAMED, OPERATOR_DESCRIBED, WORD_DESCRIBED, ENOUGH = 3, 2, 1, 2
MOST_DESCRIBED = 2


@dataclass(frozen=True, slots=True)
class Fit:
    """A tool that is meant; mentioned first and last at these tokens, by its name or not."""

    tool: Tool
    score: int
    first: int
    last: int
    named: bool


def fits(tools: Sequence[Tool], tokens: Sequence[Token]) -> list[Fit]:
    """The tools that `tokens` mean: by words of the name, by an operator, by the description.

    A word of the name counts most, an operator that only the description knows less, and of
    plain words of the description two are needed. Among equals the tool wins whose name is told
    more completely, then the one told earlier, then the one offered earlier.
    """
    found = [(fit, i) for i, tool in enumerate(tools) if (fit := _fit(tool, tokens))]
    ranked = sorted(
        found, key=lambda at: (-at[0].score, _untold(at[0], tokens), at[0].first, at[1])
    )
    return [fit for fit, _ in ranked]


def tool_for(sign: str, tools: Sequence[Tool]) -> Tool | None:
    """The tool that computes `sign`: one named for it, else the first that is described so."""
    for said in (_name, _description):
        for tool in tools:
            if sign in operators(said(tool)):
                return tool
    return None


def all_operators(tool: Tool) -> frozenset[str]:
    """What the tool computes, by its name; by its description if the name does not say."""
    return operators(tool.name) or operators(tool.description)


def _name(tool: Tool) -> str:
    return tool.name


def _description(tool: Tool) -> str:
    return tool.description


def name_stems(tool: Tool) -> frozenset[str]:
    """The telling words of the name; all of them if none tells anything, as in `get_one`."""
    return stems(tool.name) or frozenset(stem(part) for part in tool.name.split("_"))


def _fit(tool: Tool, tokens: Sequence[Token]) -> Fit | None:
    names, described = name_stems(tool), stems(tool.description)
    by_name, by_description = operators(tool.name), operators(tool.description)
    at: list[int] = []
    named: set[str] = set()
    words: set[str] = set()
    operator = False
    for i, token in enumerate(tokens):
        sign, word = _said(tokens, i), stem(token.text) if token.kind is Kind.WORD else ""
        if word in names or sign & by_name:
            named.add(word if word in names else "sign")
        elif sign & by_description:
            operator = True
        elif word in described:
            words.add(word)
            continue
        else:
            continue
        at.append(i)
    score = len(named) * NAMED + min(len(words), MOST_DESCRIBED) * WORD_DESCRIBED
    score += OPERATOR_DESCRIBED if operator else 0
    if score < ENOUGH:
        return None
    at = at or [i for i, token in enumerate(tokens) if stem(token.text) in words]
    return Fit(tool, score, at[0], at[-1], bool(named))


def _said(tokens: Sequence[Token], i: int) -> frozenset[str]:
    """The operators that token `i` speaks of; a bare dash between words is none."""
    token = tokens[i]
    if token.kind is Kind.WORD:
        return spoken_operators(token.text)
    behind = tokens[i + 1] if i + 1 < len(tokens) else None
    if token.kind is not Kind.OPERATOR or behind is None:
        return frozenset()
    is_operand = behind.kind is Kind.NUMBER or behind.text == "(" or behind.text in BACK_WORDS
    return frozenset({token.text}) if is_operand or behind.text == "the" else frozenset()


def _untold(fit: Fit, tokens: Sequence[Token]) -> int:
    told = {stem(token.text) for token in tokens}
    return len(name_stems(fit.tool) - told)
