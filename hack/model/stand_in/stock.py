"""What a text offers to a schema: named values, numbers, quotations, and the words that remain."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from stand_in.arithmetic import Back
from stand_in.reading import BACK_WORDS, Kind, Number, Token
from stand_in.words import IDLE_WORDS, PREPOSITIONS


@dataclass(slots=True)
class Stock:
    """Values in the order they were said; each is given to one property only.

    Shape:
        named    what was said as `name: value`, `name = value` or `name is value`.
        spans    runs of the remaining words, idle words cut off at both ends.
        words    every word, for enumerations and yes or no.
        text     all of it, for a string that must be filled with something.
    """

    named: dict[str, "Named"]
    numbers: list[Number | Back]
    quoted: list[str | Back]
    spans: list[str]
    words: frozenset[str]
    text: str

    def left(self) -> "Left":
        """What has not been given to a property yet."""
        return list(self.numbers), list(self.quoted), list(self.spans)

    def put_back(self, left: "Left") -> None:
        """Have again what there was."""
        self.numbers, self.quoted, self.spans = left


type Left = tuple[list[Number | Back], list[str | Back], list[str]]


@dataclass(frozen=True, slots=True)
class Named:
    """What was said by a property's name: its first token, and all of it as it was written."""

    first: Token
    text: str


@dataclass(frozen=True, slots=True)
class Clause:
    """A part of a text that asks for one thing: its tokens, and the text they point into."""

    tokens: tuple[Token, ...]
    text: str
    mention: int = -1  # the last token that names the tool; what it is asked for stands behind

    @property
    def said(self) -> str:
        """The clause as it was written."""
        if not self.tokens:
            return ""
        return self.text[self.tokens[0].start : self.tokens[-1].end]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a schema wants by type: the names of its properties, how many numbers and strings."""

    names: frozenset[str] = field(default_factory=frozenset)
    numbers: int = 0
    strings: int = 0


def stock(clause: Clause, wanted: Wanted, *, back: bool) -> Stock:
    """What `clause` offers; `back`: where it says "the result", that of the step before."""
    told = dict(_named(clause.tokens, wanted.names))
    named = {name: _as_written(tokens, clause.text) for name, tokens in told.items()}
    used = {token for tokens in told.values() for token in tokens}
    free = [token for token in clause.tokens if token not in used]
    numbers = _numbers(free, wanted.numbers, back=back)
    quoted: list[str | Back] = [token.text for token in free if token.kind is Kind.QUOTED]
    if back and len(quoted) < wanted.strings and (said := _said_back(clause)) is not None:
        quoted.insert(0, Back())
        used.update(said)
    spans = _spans(clause, used, wanted)
    words = frozenset(token.text.lower() for token in clause.tokens)
    return Stock(named, numbers, quoted, spans, words, clause.said)


def _named(
    tokens: Sequence[Token], names: frozenset[str]
) -> Iterator[tuple[str, tuple[Token, ...]]]:
    known = {name.lower(): name for name in names}
    for i, token in enumerate(tokens[:-2]):
        if token.text.lower() in known and tokens[i + 1].text in ("=", ":", "is"):
            value = tuple(_value(tokens[i + 2 :]))
            if value:
                yield known[token.text.lower()], value


def _as_written(tokens: Sequence[Token], text: str) -> Named:
    quoted = tokens[0].kind is Kind.QUOTED
    return Named(tokens[0], tokens[0].text if quoted else _text(tokens, text))


def _value(tokens: Sequence[Token]) -> Iterator[Token]:
    """One number or quotation, or words up to the next mark or `and`."""
    if tokens[0].kind in (Kind.NUMBER, Kind.QUOTED):
        yield tokens[0]
        return
    for token in tokens:
        if token.kind is not Kind.WORD or token.text == "and":
            return
        yield token


def _numbers(tokens: Sequence[Token], wanted: int, *, back: bool) -> list[Number | Back]:
    """The numbers; if one is wanting, the last result takes its place, said or understood."""
    found: list[Number | Back] = [token.value for token in tokens if token.kind is Kind.NUMBER]
    if not back or len(found) >= wanted:
        return found
    said: list[Number | Back] = []
    for token in tokens:
        if token.kind is Kind.NUMBER:
            said.append(token.value)
        elif token.text in BACK_WORDS and Back() not in said:
            said.append(Back())
    return said if Back() in said else [Back(), *said]


def _said_back(clause: Clause) -> tuple[Token, ...] | None:
    """The words for the last result right behind the tool's name: translate it, translate the
    result; none needed where nothing stands there. None if something else is spoken of."""
    behind = clause.tokens[clause.mention + 1 :]
    for at, token in enumerate(behind):
        if token.text in BACK_WORDS:
            return behind[: at + 1]
        if token.text != "the":
            return None
    return ()


def _spans(clause: Clause, used: set[Token], wanted: Wanted) -> list[str]:
    """The words behind the tool's name, else those before it, cut into as many as are wanted."""
    behind = clause.tokens[clause.mention + 1 :]
    before = clause.tokens[: max(clause.mention, 0)]
    for tokens in (behind, before):
        free = [token for token in tokens if token not in used and token.kind is not Kind.QUOTED]
        spans = [_text(part, clause.text) for part in _parts(free, clause.text, wanted) if part]
        if spans:
            return spans
    return []


def _parts(tokens: list[Token], text: str, wanted: Wanted) -> list[list[Token]]:
    if wanted.numbers:
        tokens = list(_without_amounts(tokens))
    if wanted.strings > 1:
        return _split(tokens, lambda token: token.text in PREPOSITIONS or _joins(token))
    whole = [part for part in _split(tokens, lambda token: token.text == "#") if part]
    listed = [part for part in _split(tokens, _joins) if part]
    proper = all(text[part[0].start].isupper() for part in listed)
    return listed if proper and len(listed) > 1 else whole


def _without_amounts(tokens: Iterable[Token]) -> Iterator[Token]:
    """Each number and its unit become one separator: for 3 days in Paris."""
    unit = False
    for token in tokens:
        if token.kind is Kind.NUMBER:
            unit = True
            yield Token(Kind.MARK, "#", token.start, token.end)
        elif not (unit and token.kind is Kind.WORD and token.text not in PREPOSITIONS):
            unit = False
            yield token
        else:
            unit = False


def _joins(token: Token) -> bool:
    return token.text in ("and", ",", "#")


def _split(tokens: Iterable[Token], is_border: Callable[[Token], bool]) -> list[list[Token]]:
    parts: list[list[Token]] = [[]]
    for token in tokens:
        if is_border(token):
            parts.append([])
        else:
            parts[-1].append(token)
    return [_trimmed(part) for part in parts]


def _trimmed(tokens: list[Token]) -> list[Token]:
    kept = [i for i, token in enumerate(tokens) if not _is_idle(token)]
    return tokens[kept[0] : kept[-1] + 1] if kept else []


def _is_idle(token: Token) -> bool:
    return token.kind in (Kind.MARK, Kind.BREAK) or token.text in IDLE_WORDS


def _text(tokens: Sequence[Token], text: str) -> str:
    return text[tokens[0].start : tokens[-1].end]
