"""Reads a text: numbers with their signs, quotations, words, operators, and where sentences end."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum, auto

READ_CHARACTERS = 4000  # what lies behind is not read, so that a huge prompt costs no more
type Number = int | float


class Kind(Enum):
    """What a token is; a BREAK ends a sentence, a MARK is any other punctuation."""

    NUMBER = auto()
    QUOTED = auto()
    WORD = auto()
    OPERATOR = auto()
    BREAK = auto()
    MARK = auto()


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of a text, from `start` to `end`; `text` without quotes, lower-case for a word."""

    kind: Kind
    text: str
    start: int
    end: int
    value: Number = 0


# Numbers with more in them than a number (dates, versions, times), addresses: words, all of them.
_TOKEN = re.compile(
    r"""
    "(?P<double>[^"\n]*)" | `(?P<tick>[^`\n]*)`
    | (?<!\w)'(?P<single>[^'\n]*)'(?!\w)
    | (?P<opaque> https?://\S+ | [\w.+-]+@[\w-]+\.[\w.]+ | \d{4}-\d\d-\d\d\S* | \d+:\d[\d:]*
        | \d+(?:\.\d+){2,} )
    | (?P<number> (?:\d{1,3}(?:,\d{3})+(?!\d) | \d+) (?:\.\d+)? (?:[eE][+-]?\d+)? (?!\w) | \.\d+ )
    | (?P<power> \*\*+ )
    | (?P<operator> [-+*/] | (?:multiplied|divided)\s+by\b )
    | (?P<word> \w[\w']*(?:-\w[\w']*)* )
    | (?P<break> [.!?;]+(?=[\s"')]|$) | \n )
    | (?P<mark> \S )
    """,
    re.VERBOSE,
)
# Typographic times, divided, minus and quotes.
_TYPED = str.maketrans("\u00d7\u00f7\u2212\u2018\u2019\u201c\u201d", "*/-''\"\"")
_QUOTES = ("double", "tick", "single")
_SPOKEN = {"m": "*", "d": "/"}  # multiplied by, divided by
# What an earlier step gave, as good an operand as a number.
BACK_WORDS = frozenset({"result", "it", "that", "this", "answer", "outcome"})
_INFIX = {"plus": "+", "minus": "-", "times": "*", "x": "*", "over": "/"}


def read(text: str) -> tuple[Token, ...]:
    """The tokens of the first `READ_CHARACTERS` of `text`, in order."""
    tokens: list[Token] = []
    for token in _raw(typed(text[:READ_CHARACTERS])):
        if token.kind is Kind.NUMBER and _is_signed(tokens, token):
            token = _negated(tokens.pop(), token)  # noqa: PLW2901  the sign is part of it
        tokens.append(token)
    return tuple(_infix(tokens))


def typed(text: str) -> str:
    """The text with the quotes and signs of a keyboard, as long as it was."""
    return text.translate(_TYPED)


def _raw(text: str) -> Iterator[Token]:
    for match in _TOKEN.finditer(text):
        group, span = match.lastgroup or "mark", match.span()
        said = match[group]
        if group in _QUOTES:
            yield Token(Kind.QUOTED, said, *span)
        elif group == "number":
            yield Token(Kind.NUMBER, said, *span, value=_number(said))
        elif group in ("opaque", "word"):
            yield Token(Kind.WORD, said.lower(), *span)
        elif group == "operator":
            yield Token(Kind.OPERATOR, _SPOKEN.get(said[0], said), *span)
        else:
            yield Token(Kind.BREAK if group == "break" else Kind.MARK, said, *span)


def _number(text: str) -> Number:
    plain = text.replace(",", "")
    return int(plain) if plain.isdigit() else float(plain)


def _is_signed(before: Sequence[Token], number: Token) -> bool:
    """A minus right before a number is its sign, unless it stands behind an operand: 5 -3."""
    if not before or before[-1].text != "-" or before[-1].end != number.start:
        return False
    if len(before) == 1:
        return True
    return before[-2].kind is not Kind.NUMBER and before[-2].text != ")"


def _negated(sign: Token, number: Token) -> Token:
    return Token(Kind.NUMBER, "-" + number.text, sign.start, number.end, value=-number.value)


def _infix(tokens: Sequence[Token]) -> Iterator[Token]:
    """Words between two operands that are operators there: 2 plus 3, (1 + 2) times 4."""
    for i, token in enumerate(tokens):
        between = 0 < i < len(tokens) - 1 and token.text in _INFIX
        if between and _is_operand(tokens[i - 1], ")") and _is_operand(tokens[i + 1], "("):
            yield Token(Kind.OPERATOR, _INFIX[token.text], token.start, token.end)
        else:
            yield token


def _is_operand(token: Token, bracket: str) -> bool:
    return token.kind is Kind.NUMBER or token.text == bracket or token.text in BACK_WORDS
