"""Expressions in a text: (2 + 3) * 4, with the usual precedence, as trees."""

from collections.abc import Sequence
from dataclasses import dataclass

from stand_in.reading import BACK_WORDS, Kind, Number, Token

_PRECEDENCE = {"+": 1, "-": 1, "*": 2, "/": 2}
_CHAINABLE = ("+", "*")
# Where reading stops, so that no prompt can exhaust the stack.
MOST_OPERATORS = 100
MOST_BRACKETS = 10


@dataclass(frozen=True, slots=True)
class Back:
    """What the step before gives, said as "the result" or "it"."""


@dataclass(frozen=True, slots=True)
class Operation:
    """One operator and what it takes."""

    sign: str
    left: "Operand"
    right: "Operand"


type Operand = Number | Back | Operation


@dataclass(frozen=True, slots=True)
class Expression:
    """An operation, and where in the tokens it was said."""

    tree: Operation
    start: int
    end: int


def expressions(tokens: Sequence[Token], *, back: bool) -> list[Expression]:
    """All expressions with at least one operator, in order; `back`: a step went before."""
    found: list[Expression] = []
    at = 0
    while at < len(tokens):
        parser = _Parser(tokens, at, back=back)
        tree = parser.sum()
        if isinstance(tree, Operation):
            found.append(Expression(tree, at, parser.at))
            at = parser.at
        else:
            at += 1
    return found


def signs(tree: Operand) -> frozenset[str]:
    """Every operator of a tree."""
    if not isinstance(tree, Operation):
        return frozenset()
    return signs(tree.left) | signs(tree.right) | {tree.sign}


def chained(tree: Operation) -> list[Operand]:
    """The operands of one sign, as many as are chained: 2 + 3 + 4 has three."""
    left = tree.left
    if isinstance(left, Operation) and left.sign == tree.sign:
        return [*chained(left), tree.right]
    return [left, tree.right]


def in_a_row(taken: frozenset[str], numbers: Sequence[Number]) -> Operation | None:
    """Three numbers or more as one chain of the sign that `taken` has, if it can be chained."""
    chainable = [sign for sign in _CHAINABLE if sign in taken]
    if len(chainable) != 1 or len(numbers) <= 2:
        return None
    tree = Operation(chainable[0], numbers[0], numbers[1])
    for number in numbers[2 : MOST_OPERATORS + 1]:
        tree = Operation(tree.sign, tree, number)
    return tree


class _Parser:
    """Precedence climbing; stops where the text is no expression any more."""

    def __init__(self, tokens: Sequence[Token], at: int, *, back: bool) -> None:
        self.tokens, self.at, self.back = tokens, at, back
        self.operators = self.brackets = 0

    def sum(self, lowest: int = 1) -> Operand | None:
        left = self._operand()
        while left is not None and (sign := self._sign()) and _PRECEDENCE[sign] >= lowest:
            before, self.at = self.at, self.at + 1
            self.operators += 1
            right = self.sum(_PRECEDENCE[sign] + 1)
            if right is None:
                self.at = before
                return left
            left = Operation(sign, left, right)
        return left

    def _sign(self) -> str | None:
        token = self._token()
        if token is None or token.kind is not Kind.OPERATOR or self.operators >= MOST_OPERATORS:
            return None
        return token.text

    def _operand(self) -> Operand | None:
        token = self._token()
        if token is None:
            return None
        if token.kind is Kind.NUMBER:
            self.at += 1
            return token.value
        if token.kind is Kind.WORD and self.back:
            return self._back(token)
        return self._bracket() if token.text == "(" else None

    def _back(self, token: Token) -> Back | None:
        skip = 1 if token.text == "the" else 0
        if self.at + skip < len(self.tokens) and self.tokens[self.at + skip].text in BACK_WORDS:
            self.at += skip + 1
            return Back()
        return None

    def _bracket(self) -> Operand | None:
        if self.brackets == MOST_BRACKETS:
            return None
        start, self.at = self.at, self.at + 1
        self.brackets += 1
        inside = self.sum()
        self.brackets -= 1
        token = self._token()
        if inside is not None and token and token.text == ")":
            self.at += 1
            return inside
        self.at = start
        return None

    def _token(self) -> Token | None:
        return self.tokens[self.at] if self.at < len(self.tokens) else None
