"""What words mean to the model: the only language it knows beside the request itself."""

import re
from functools import lru_cache


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Said of a tool or by a user, each of them means the operator.
OPERATOR_WORDS = {
    "+": _words("add addition plus sum total"),
    "-": _words("subtract subtraction minus difference"),
    "*": _words("multiply multiplication product"),
    "/": _words("divide division quotient"),
}
# A tool that says one of these, and none of those, takes any operator.
ARITHMETIC_WORDS = _words("arithmetic calculate calculator compute evaluate expression math")
PREPOSITIONS = _words("about as at by for from in into of on over per through to under with")
# Words that say nothing about what is wanted.
IDLE_WORDS = PREPOSITIONS | _words("""
    a all an and any are argument ask be can could current do does get give given gives how i is
    its let lets me must my need now one or our please return returns say should so tell that the
    their them then these they this two use uses using value want was were what whats when where
    which who why will would you your
""")
_ENDINGS = ("ing", "ies", "ed", "es", "s", "e", "y")
_SHORTEST_STEM = 3
_NAME_PART = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[^\W\d_A-Za-z]+|\d+")


def stem(word: str) -> str:
    """The word without its ending, good enough to match adds, added and adding."""
    plain = word.lower().replace("'", "")
    for ending in _ENDINGS:
        if plain.endswith(ending) and len(plain) - len(ending) >= _SHORTEST_STEM:
            return plain.removesuffix(ending)
    return plain


@lru_cache(maxsize=4096)
def stems(text: str) -> frozenset[str]:
    """The stems of all words in a name or a description that say something: get_weather has one."""
    words = (part.lower() for part in _NAME_PART.findall(text))
    return frozenset(stem(word) for word in words if word not in IDLE_WORDS)


def _stemmed(words: frozenset[str]) -> frozenset[str]:
    return frozenset(stem(word) for word in words)


_STEMS_BY_OPERATOR = {sign: _stemmed(words) for sign, words in OPERATOR_WORDS.items()}
_ARITHMETIC_STEMS = _stemmed(ARITHMETIC_WORDS)


@lru_cache(maxsize=4096)
def spoken_operators(text: str) -> frozenset[str]:
    """The operators that the words of a text name: the sum of, multiply."""
    said = stems(text)
    return frozenset(sign for sign, known in _STEMS_BY_OPERATOR.items() if said & known)


@lru_cache(maxsize=4096)
def operators(text: str) -> frozenset[str]:
    """The operators that a tool's name or description promises; of a calculator, all."""
    if said := spoken_operators(text):
        return said
    return frozenset(OPERATOR_WORDS) if stems(text) & _ARITHMETIC_STEMS else said
