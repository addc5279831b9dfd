"""Query syntax: the text that a user wrote comes in, a `Query` with its operators goes out.

    "a phrase"                  every result has the phrase; its words are searched for as well
    -word   -"a phrase"         no result has it
    +concept   +"a concept"     moves the query towards a concept; ^0.5 after it is its weight, 1 by default
    -concept^0.5                moves the query away from it

An operator is at the beginning or after a space, and its word begins with a letter: ``--all``, ``-5``,
``+49 170``, ``c++`` and hyphenated words are plain text.  So is a single letter (``ls -v``, ``x^3 -x^2``),
which is mostly an option or a variable; ``-"v"`` is an operator.  Other cases cannot be distinguished:
``rm -rf build`` looks like ``bread -rye flour``, ``docker run -it`` like ``widgets -js``.  So the command
line says which words were excluded, and `literal_query` reads no operators.

Other double quotation marks and the full-width signs of East Asian keyboards count too; single quotation
marks do not (don't).  A mark inside a word or without its partner is plain text.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from numbers import Real

from minisearch.errors import InputError, short
from minisearch.filters import MAX_PHRASE
from minisearch.results import Query
from minisearch.text import CJK, PAIRED_RUN, visible

MAX_WEIGHT = 10.0  # with it the rest of the query has no effect

# No alternative reaches past another opening mark, so a text full of them takes linear time.
QUOTED = r'"[^"]*"|＂[^＂]*＂|“[^“”]*”|„[^„“”]*[“”]|«[^«»]*»|»[^«»]*«'

STEP = re.compile(
    rf"""
    (?<!\S)(?P<sign>[-+－＋])
    (?: (?P<concept>{QUOTED}) | (?P<word>[^\W\d][^\s^＾]*) )
    (?: [\^＾](?P<weight>\S*) )?
    | (?<![^\W{CJK}])(?P<phrase>{QUOTED})
    """,
    re.VERBOSE,
)
TRAILING = ".,;:!?…。、，．；：！？"  # part of the sentence, not of the word
WEIGHT = re.compile(r"[0-9]+(?:\.[0-9]*)?|\.[0-9]+")


def parse_query(text: str) -> Query:
    """Parse a text with operators; runs of white space become one space.

    >>> parse_query('bread "sour dough" -rye +crust^0.5')
    Query(text='bread sour dough', required=('sour dough',), excluded=('rye',), steers=(('crust', 0.5),))

    Phrases without a letter or digit are ignored.  Raises InputError if nothing is left to search for, and
    for a weight that is not a number above 0 and at most 10.
    """
    text = _checked(text)
    required: list[str] = []
    excluded: list[str] = []
    steers: list[tuple[str, float]] = []
    kept: list[str] = []
    end = 0
    for step in STEP.finditer(text):
        operand = _operand(step)
        if operand is None:  # plain text
            continue
        kept.append(text[end : step.start()])
        end = step.end()
        weight = step["weight"]
        if step["sign"] is None:
            kept.append(operand)
            required += [operand] if _has_words(operand) else []
        elif _has_words(operand):
            is_minus = step["sign"] in "-－"
            if is_minus and weight is None:
                excluded.append(operand)
            else:
                value = _weight(step[0], weight)
                steers.append((operand, -value if is_minus else value))
            kept.append(" ")
    kept.append(text[end:])
    return _not_empty(
        Query(" ".join("".join(kept).split()), _distinct(required), _distinct(excluded), tuple(steers))
    )


def literal_query(text: str) -> Query:
    """The query for a text without operators; InputError for an empty one."""
    return _not_empty(Query(_checked(text)))


def is_number(text: str) -> bool:
    """Whether a text may be a phrase of which each word is at least half digits, such as a telephone number.

    >>> is_number("DE89 3704 0044"), is_number("INV-2024-0031"), is_number("python3"), is_number("5 apples")
    (True, True, False, False)
    """
    shares = [_share_of_digits(word) for word in text.split() if _has_words(word)]
    return bool(shares) and min(shares) >= 0.5 and len(text) <= MAX_PHRASE


def _share_of_digits(word: str) -> float:
    counted = [character for character in word if character.isalnum()]
    return sum(map(str.isdigit, counted)) / len(counted)


def checked_query(query: Query) -> Query:
    """A query made by a caller, checked; InputError if it is empty or has a part of a wrong type."""
    if not isinstance(query, Query):
        raise InputError(f"expected a query, a text or a Query, got {type(query).__name__}")
    if not isinstance(query.text, str):
        raise InputError(f"the query's text is {query.text!r:.60}: expected a text")
    steers = (_steer(steer) for steer in _items("steers", query.steers, "pairs, a concept and its weight"))
    return _not_empty(
        Query(
            _checked(query.text),
            _phrases("required", query.required),
            _phrases("excluded", query.excluded),
            tuple(steers),
        )
    )


def _phrases(name: str, given: object) -> tuple[str, ...]:
    return tuple(filter(_has_words, (_part(name, phrase) for phrase in _items(name, given, "texts"))))


def _steer(given: object) -> tuple[str, float]:
    if not isinstance(given, tuple | list) or len(given) != 2:
        raise InputError(f"the query's steers holds {given!r:.60}: expected a concept and its weight")
    concept, weight = given
    if not isinstance(weight, Real) or weight == 0 or weight < -MAX_WEIGHT or not weight <= MAX_WEIGHT:
        raise InputError(
            f"{concept!r:.60} in the query's steers: expected a weight from {-MAX_WEIGHT:g} to "
            f"{MAX_WEIGHT:g}, not 0, got {weight!r:.60}"
        )
    return _part("steers", concept), float(weight)


def _items(name: str, given: object, expected: str) -> Sequence[object]:
    if not isinstance(given, tuple | list):
        raise InputError(f"the query's {name} is {given!r:.60}: expected a tuple of {expected}")
    return given


def _part(name: str, given: object) -> str:
    if not isinstance(given, str):
        raise InputError(f"the query's {name} holds {given!r:.60}: expected a text")
    return _checked(given)


def _checked(text: str) -> str:
    if not isinstance(text, str):
        raise InputError(f"expected a query, a text, got {type(text).__name__}")
    return visible(text.encode("utf-8", "replace").decode())  # a terminal can pass lone surrogates


def _operand(step: re.Match[str]) -> str | None:
    """The words of an operator; None if what looks like an operator is plain text."""
    if step["word"] is None:
        quoted: str = step["phrase"] or step["concept"]
        return " ".join(quoted[1:-1].split())
    word: str = step["word"].rstrip(TRAILING)
    return word if _has_words(word) and (len(word) > 1 or PAIRED_RUN.match(word)) else None


def _has_words(text: str) -> bool:
    return any(character.isalnum() for character in text)


def _weight(operator: str, weight: str | None) -> float:
    if weight is None:
        return 1.0
    digits = unicodedata.normalize("NFKC", weight).rstrip(TRAILING)
    if not WEIGHT.fullmatch(digits) or not 0 < float(digits) <= MAX_WEIGHT:
        raise InputError(
            f"{short(operator)}: expected a weight after ^, a number above 0 and at most {MAX_WEIGHT:g}, "
            f"such as +concept^0.5, got {short(weight)!r}"
        )
    return float(digits)


def _distinct(phrases: list[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(phrases))


def _not_empty(query: Query) -> Query:
    """The same query; InputError if there is nothing to search for."""
    if query.text.strip() or any(weight > 0 for _, weight in query.steers):
        return query
    if query.excluded or query.steers:
        what = ", ".join([*query.excluded, *(concept for concept, _ in query.steers)])
        raise InputError(f"the query only says what to leave out ({short(what)}): add what you look for")
    raise InputError("the query is empty: say what you are looking for")
